"""TFLite files: for phones, boards and anything else that runs LiteRT."""

import os
from collections.abc import Callable, Sequence

import keras
import numpy as np

from eseg_keras.export.exportable import exported_size, in_float32
from eseg_keras.export.representative_images import split_representative_images
from eseg_keras.export.served_network import OUTPUTS
from eseg_keras.export.tflite_classes import append_classes
from eseg_keras.export.tflite_conversion import convert
from eseg_keras.export.tolerances import TOLERANCES
from eseg_keras.export.verification import Verification, held_out_images, verify
from eseg_keras.files import atomic_file
from eseg_keras.optional import require
from eseg_keras.standard_error import hidden_standard_error

PRECISIONS = ("float32", "float16", "dynamic", "int8")
_REMEDIES = {
    "dynamic": "Nothing was written: try precision float16 where 8-bit weights are too coarse.",
    "int8": "Nothing was written: try representative images of its task, or precision dynamic or "
    "float16 where 8 bits are too few.",
}
# Where the network takes any size: two that strides divide, and one that none does.
_SIZES = ((192, 384), (384, 768), (97, 131))


def export_tflite(
    model: keras.Model,
    output: str | os.PathLike,
    *,
    outputs: str = "labels",
    input_dtype: str = "uint8",
    input_size: tuple[int, int] | None = None,
    precision: str = "float32",
    representative_images: Sequence[np.ndarray] | None = None,
) -> Verification:
    """Write a model as a TFLite file for LiteRT, and check what it computes.

    The file takes one image, `images` [1, H, W, C], and holds no operator but TFLite's own. Class
    names, palette and ignore label are inside, see `read_tflite_classes`. An existing file is
    replaced. `OUTPUT.verification.json` is written beside it.

    Args:
        model: An `ESeg` model, on the TensorFlow backend. Its dtype policy is of no account.
        output: The file, such as `"streets.tflite"`.
        outputs: `"labels"` for a uint8 label map [1, H, W], `"logits"` or `"probabilities"` for
            [1, H, W, num_classes].
        input_dtype: dtype of the image, `"uint8"` or `"float32"`, of 0..255 either way.
        input_size: (height, width) of the image; by default the one that the network is built
            for, or any from 32 up, set by `resize_tensor_input`. One size runs faster.
        precision: `"float32"`; `"float16"`, for weights of half the size; `"dynamic"`, for weights
            of 8 bits and activations of 8 bits in most convolutions; or `"int8"`, for everything in
            8 bits, uint8 images included: logits and probabilities are then uint8 with the scale
            and zero point that the file gives.
        representative_images: For `"int8"`: uint8 arrays [H, W, C], photos of the network's task of
            any size, some tens of them. They are resized to `input_size`. One in four, three at
            most, serves for the comparison alone. Defaults to street scenes.

    Returns:
        The comparison with the model.

    Raises:
        ValueError: If an argument is none of those above, or TFLite lacks an operator.
        VerificationError: If the file does not compute what the model computes. Then nothing is
            written.

    Example:

    >>> import tempfile
    >>> import eseg_keras
    >>> from eseg_keras.export import export_tflite
    >>> model = eseg_keras.ESeg.from_preset("eseg_lite_s_streets")
    >>> path = tempfile.mkdtemp() + "/streets.tflite"
    >>> export_tflite(model, path, input_size=(96, 160)).passed
    True

    Reference:
        [LiteRT](https://ai.google.dev/edge/litert)
    """
    _check(outputs, input_dtype, precision)
    require("ai_edge_litert.interpreter", "export")
    input_size = exported_size(model, input_size)
    model = in_float32(model)
    channels = model.image_shape[-1]
    calibration, held_out = split_representative_images(
        representative_images, precision, input_size, channels
    )
    if held_out is None:
        sizes, count = ([input_size], 3) if input_size else (_SIZES, 1)
        held_out = [image for size in sizes for image in held_out_images(count, size, channels)]
    content = convert(model, outputs, input_dtype, input_size, precision, calibration)
    with atomic_file(output) as temporary:
        temporary.write_bytes(content)
        append_classes(temporary, model)
        threads = os.cpu_count()
        verification = verify(
            litert_runner(temporary, threads),
            model,
            held_out,
            outputs=outputs,
            tolerance=TOLERANCES[precision],
            package="ai-edge-litert",
            threads=threads,
        )
        verification.check(_REMEDIES.get(precision, "Nothing was written."))
        verification.write(output)
    return verification


def litert_runner(
    path: str | os.PathLike, threads: int | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Load a TFLite file, under LiteRT's default delegate.

    Args:
        path: A file that `export_tflite` wrote.
        threads: Number of threads, by default LiteRT's choice.

    Returns:
        A function from uint8 images [1, H, W, C] to what the network answers; logits and
        probabilities are float32 whatever the precision.
    """
    litert = require("ai_edge_litert.interpreter", "export")
    interpreter = litert.Interpreter(model_path=str(path), num_threads=threads)
    (taken,) = interpreter.get_input_details()
    (given,) = interpreter.get_output_details()
    shape = None

    def run(images):
        nonlocal shape
        if shape != images.shape:
            interpreter.resize_tensor_input(taken["index"], images.shape)
            with hidden_standard_error():  # LiteRT names its XNNPACK delegate there.
                interpreter.allocate_tensors()
            shape = images.shape
        interpreter.set_tensor(taken["index"], images.astype(taken["dtype"]))
        interpreter.invoke()
        values = interpreter.get_tensor(given["index"])
        scale, zero_point = given["quantization"]
        return np.float32(scale) * (values.astype("float32") - zero_point) if scale else values

    return run


def _check(outputs, input_dtype, precision):
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "TFLite files are written by TensorFlow. Received: the Keras backend "
            f"{keras.backend.backend()!r}; set the environment variable KERAS_BACKEND=tensorflow."
        )
    if outputs not in OUTPUTS:
        raise ValueError(f"outputs must be one of {', '.join(OUTPUTS)}. Received: {outputs!r}")
    if input_dtype not in ("uint8", "float32"):
        raise ValueError(f"input_dtype must be 'uint8' or 'float32'. Received: {input_dtype!r}")
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision must be one of {', '.join(PRECISIONS)}. Received: {precision!r}"
        )
    if precision == "int8" and input_dtype != "uint8":
        raise ValueError(
            f"An int8 network takes uint8 images. Received: input_dtype={input_dtype!r}"
        )
