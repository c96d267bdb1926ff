"""From a Keras network to an ONNX graph, and from an ONNX file to answers."""

import json
import os
from collections.abc import Callable

import keras
import numpy as np

from eseg_keras.export.preparation import classes_json
from eseg_keras.export.quiet import quiet
from eseg_keras.optional import require
from eseg_keras.version import __version__

DEFAULT_OPSET = 17
_DIMENSIONS = ("batch", "height", "width")


def convert_to_onnx(served: keras.Model, classes: keras.Model, batch: int | None, opset: int):
    """Convert what `serving_model` returned.

    Args:
        served: The network that is served, on the TensorFlow backend.
        classes: The `ESeg` model, for its class names, palette and ignore label: each is an entry
            of the file's `metadata_props`, as JSON.
        batch: Number of images at once, `None` for any.
        opset: Version of the operators.

    Returns:
        An `onnx.ModelProto` that passed ONNX's checker. Input and output have the names of the
        network's; dimensions that are free are called `batch`, `height` and `width`.

    Raises:
        ValueError: If the backend is not TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "ONNX files are written by way of TensorFlow. Received: the Keras backend "
            f"{keras.backend.backend()!r}; set the environment variable KERAS_BACKEND=tensorflow."
        )
    tf = require("tensorflow", "tensorflow-cpu")
    tf2onnx = require("tf2onnx", "export")
    onnx = require("onnx", "export")
    (output,) = served.output_names
    spec = tf.TensorSpec((batch, *served.input.shape[1:]), served.input.dtype, name="images")
    serve = tf.function(
        lambda images: {output: served(images, training=False)},
        input_signature=[spec],
        autograph=False,
    )
    with quiet("", "tf2onnx"):
        converted, _ = tf2onnx.convert.from_function(serve, input_signature=[spec], opset=opset)
    for value in (*converted.graph.input, *converted.graph.output):
        for name, dimension in zip(_DIMENSIONS, value.type.tensor_type.shape.dim, strict=False):
            if not dimension.dim_value:
                dimension.dim_param = name
    _add_metadata(converted, classes, output)
    onnx.checker.check_model(converted, full_check=True)
    return converted


def onnx_runner(
    path: str | os.PathLike, threads: int | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Load an ONNX file with ONNX Runtime, on the CPU.

    Args:
        path: A file that `export_onnx` wrote.
        threads: Number of threads, by default ONNX Runtime's choice.

    Returns:
        A function from uint8 images [B, H, W, C] to what the network answers.
    """
    onnxruntime = require("onnxruntime", "export")
    options = onnxruntime.SessionOptions()
    # Errors alone.
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        os.fspath(path), options, providers=["CPUExecutionProvider"]
    )
    (images,) = session.get_inputs()
    dtype = "uint8" if images.type == "tensor(uint8)" else "float32"

    def run(batch):
        (answer,) = session.run(None, {images.name: batch.astype(dtype)})
        return answer

    return run


def read_onnx_classes(path: str | os.PathLike) -> dict:
    """Read the classes from a file that `export_onnx` wrote.

    Args:
        path: The `.onnx` file.

    Returns:
        Dict of `class_names` and `palette`, either may be `None`, `ignore_label` and
        `num_classes`.

    Raises:
        ValueError: If the file holds no classes.
    """
    onnx = require("onnx", "export")
    model = onnx.load(os.fspath(path), load_external_data=False)
    found = {entry.key: entry.value for entry in model.metadata_props}
    keys = ("num_classes", "class_names", "palette", "ignore_label")
    if missing := [key for key in keys if key not in found]:
        raise ValueError(f"{path} holds no {missing[0]}: eseg_keras did not write it.")
    return {key: json.loads(found[key]) for key in keys}


def _add_metadata(converted, classes, output):
    converted.producer_name = "eseg_keras"
    converted.producer_version = __version__
    converted.graph.name = classes.name
    entries = {key: json.dumps(value) for key, value in json.loads(classes_json(classes)).items()}
    for key, value in {**entries, "output": output}.items():
        entry = converted.metadata_props.add()
        entry.key, entry.value = key, value
