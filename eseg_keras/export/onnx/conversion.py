"""Convert a Keras network to ONNX, and run ONNX files."""

import json
import os
from collections.abc import Callable

import keras
import numpy as np

from eseg_keras.export.preparation import classes_json, require_tensorflow
from eseg_keras.export.quiet import quiet
from eseg_keras.optional import require
from eseg_keras.version import __version__

DEFAULT_OPSET = 17
_DIMENSIONS = ("batch", "height", "width")


def convert_to_onnx(served: keras.Model, model: keras.Model, batch: int | None, opset: int):
    """Convert a `serving_model` of an `ESeg` model to an `onnx.ModelProto`, and check the result.

    The classes of `model` are added as metadata. `batch` is the batch size, or `None` for any.
    """
    tf = require_tensorflow("ONNX")
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
    converted.producer_name = "eseg_keras"
    converted.producer_version = __version__
    converted.graph.name = model.name
    classes = json.loads(classes_json(model))
    entries = {key: json.dumps(value) for key, value in classes.items()} | {"output": output}
    onnx.helper.set_model_props(converted, entries)
    onnx.checker.check_model(converted, full_check=True)
    return converted


def onnx_session(path: str | os.PathLike, threads: int | None = None):
    """Load an ONNX file in ONNX Runtime, on the CPU.

    By default, ONNX Runtime chooses the number of threads.
    """
    onnxruntime = require("onnxruntime", "export")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # Errors only.
    if threads is not None:
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # By default, the threads of an idle session keep spinning, which would slow down the other
        # variants of a measurement.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(os.fspath(path), options, providers=providers)


def onnx_runner(
    path: str | os.PathLike, threads: int | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that runs a file of `export_onnx` on uint8 images [B, H, W, C].

    The attribute `image_shape` of the function is (H, W, C), with `None` for any size.
    """
    session = onnx_session(path, threads)
    (images,) = session.get_inputs()
    dtype = "uint8" if images.type == "tensor(uint8)" else "float32"

    def run(batch):
        (answer,) = session.run(None, {images.name: batch.astype(dtype)})
        return answer

    run.image_shape = tuple(n if isinstance(n, int) else None for n in images.shape[1:])
    return run


def read_onnx_classes(path: str | os.PathLike) -> dict:
    """Read the classes from a file that `export_onnx` wrote.

    Args:
        path: The `.onnx` file.

    Returns:
        Dict with the keys `num_classes`, `ignore_label`, `class_names` and `palette`; the values of
        the last two may be `None`.

    Raises:
        ValueError: If the file is damaged or contains no classes.
    """
    onnx = require("onnx", "export")
    from google.protobuf.message import DecodeError  # A dependency of onnx.

    try:
        model = onnx.load(os.fspath(path), load_external_data=False)
    except DecodeError as error:
        raise ValueError(
            f"{path} cannot be read as an ONNX file. Expected a file written by export_onnx."
        ) from error
    found = {entry.key: entry.value for entry in model.metadata_props}
    keys = ("num_classes", "class_names", "palette", "ignore_label")
    if missing := [key for key in keys if key not in found]:
        raise ValueError(
            f"{path} contains no {missing[0]}. Expected a file written by export_onnx."
        )
    return {key: json.loads(found[key]) for key in keys}
