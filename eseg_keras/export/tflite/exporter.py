"""Export to TFLite, for LiteRT on phones and embedded boards."""

import json
import os
import zipfile
from collections.abc import Callable, Sequence

import keras
import numpy as np

from eseg_keras.export.preparation import (
    check_choice,
    classes_json,
    exported_size,
    in_float32,
    one_writer,
    prepare_images,
    require_tensorflow,
)
from eseg_keras.export.served_graph.network import check_kinds
from eseg_keras.export.tflite.conversion import convert
from eseg_keras.export.tflite.metadata import add_metadata
from eseg_keras.export.verification import TOLERANCES, Verification, verify
from eseg_keras.files import atomic_file
from eseg_keras.optional import require
from eseg_keras.standard_error import hidden_standard_error

PRECISIONS = ("float32", "float16", "dynamic", "int8")
_REMEDIES = {
    "dynamic": "Nothing was written. 8-bit weights may be too coarse: try precision float16.",
    "int8": "Nothing was written. Try calibration_images that resemble the training images; or, if "
    "8 bits are too coarse, precision dynamic or float16.",
}
# Sizes of the verification images for files that take images of any size: two sizes that the
# encoder's strides divide, and an odd size.
_SIZES = ((192, 384), (384, 768), (97, 131))
_CLASSES = "classes.json"
_LABELS = "labels.txt"
# A fixed date, so that the same export always writes the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


@one_writer
def export_tflite(
    model: keras.Model,
    output: str | os.PathLike,
    *,
    output_kind: str = "labels",
    input_dtype: str = "uint8",
    image_size: tuple[int, int] | None = None,
    precision: str = "float32",
    calibration_images: Sequence[np.ndarray] | None = None,
    verification_images: Sequence[np.ndarray] | None = None,
) -> Verification:
    """Write a model as a TFLite file, and verify it in LiteRT.

    The file takes one image, `images` [1, H, W, C], and uses only TFLite's built-in operators. It
    contains class names, palette and ignore label (see `read_tflite_classes`). An existing file is
    replaced. The comparison with the model is written beside the file, as
    `OUTPUT.verification.json`.

    Args:
        model, calibration_images, verification_images: See `export_onnx`.
        output: The file, such as `"streets.tflite"`.
        output_kind: `"labels"` for a uint8 label map [1, H, W], `"logits"` or `"probabilities"` for
            [1, H, W, num_classes].
        input_dtype: dtype of the image, `"uint8"` or `"float32"`, with values of 0..255 for both.
        image_size: (height, width) of the image; a fixed size is faster. Defaults to the network's
            fixed size if it has one, else any size from 32x32, which the user of the file sets with
            `resize_tensor_input`.
        precision: `"float32"`; `"float16"` for float16 weights; `"dynamic"` for 8-bit weights and,
            in most convolutions, 8-bit activations; or `"int8"` for 8 bits throughout: images are
            uint8, and logits and probabilities are uint8 with a scale and a zero point.

    Returns:
        The comparison of the file's outputs with the model's.

    Raises:
        ValueError: If an argument is invalid, or TFLite lacks an operator.
        FileInUseError: If another process writes the same output.
        VerificationError: If the outputs of the file differ from the model's. Nothing is written
            then.

    Example:

    >>> import tempfile
    >>> import eseg_keras
    >>> from eseg_keras.export import export_tflite
    >>> from eseg_keras.street_scenes import scene_images
    >>> model = eseg_keras.ESeg.from_preset("eseg_lite_s_streets")
    >>> path = tempfile.mkdtemp() + "/streets.tflite"
    >>> images = scene_images("test", 2, (96, 160))
    >>> export_tflite(model, path, image_size=(96, 160), verification_images=images).passed
    True

    Reference:
        [LiteRT](https://ai.google.dev/edge/litert)
    """
    require_tensorflow("TFLite")
    check_kinds(output_kind, input_dtype)
    check_choice("precision", precision, PRECISIONS)
    if precision == "int8" and input_dtype != "uint8":
        raise ValueError(
            f"precision='int8' needs input_dtype='uint8'. Received: input_dtype={input_dtype!r}"
        )
    require("ai_edge_litert.interpreter", "export")
    image_size = exported_size(model, image_size)
    model = in_float32(model)
    channels = model.image_shape[-1]
    calibration, held_out = prepare_images(
        calibration_images, verification_images, precision, image_size, _SIZES, channels
    )
    content = convert(model, output_kind, input_dtype, image_size, precision, calibration)
    content = add_metadata(content, model, output_kind, _LABELS if model.class_names else None)
    with atomic_file(output) as temporary:
        temporary.write_bytes(content)
        _append_classes(temporary, model)
        threads = os.cpu_count()
        verification = verify(
            litert_runner(temporary, threads),
            model,
            held_out,
            output_kind=output_kind,
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
    """Return a function that runs a TFLite file on uint8 images; 8-bit scores become float32.

    The attribute `image_shape` of the function is (H, W, C), with `None` for any size.
    """
    litert = require("ai_edge_litert.interpreter", "export")
    interpreter = litert.Interpreter(model_path=str(path), num_threads=threads)
    (source,) = interpreter.get_input_details()
    (target,) = interpreter.get_output_details()
    shape = None

    def run(images):
        nonlocal shape
        if shape != images.shape:
            interpreter.resize_tensor_input(source["index"], images.shape)
            with hidden_standard_error():  # LiteRT writes a line about its XNNPACK delegate.
                interpreter.allocate_tensors()
            shape = images.shape
        interpreter.set_tensor(source["index"], images.astype(source["dtype"]))
        interpreter.invoke()
        values = interpreter.get_tensor(target["index"])
        scale, zero_point = target["quantization"]
        return np.float32(scale) * (values.astype("float32") - zero_point) if scale else values

    run.image_shape = tuple(int(n) if n > 0 else None for n in source["shape_signature"][1:])
    return run


def read_tflite_classes(path: str | os.PathLike) -> dict:
    """Read the classes from a TFLite file that `export_tflite` wrote; see `read_onnx_classes`.

    Args:
        path: The `.tflite` file.

    Returns:
        Dict with the entries of `read_onnx_classes`.

    Raises:
        ValueError: If `export_tflite` did not write the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(_CLASSES))
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(
            f"{path} contains no classes. Expected a file written by export_tflite."
        ) from error


def _append_classes(path, model):
    """Append the classes as a zip archive, as TFLite metadata specifies for associated files."""
    content = classes_json(model)
    names = json.loads(content)["class_names"] or []
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(_CLASSES, _DATE), content)
        if names:
            lines = "".join(" ".join(name.splitlines()) + "\n" for name in names)
            archive.writestr(
                zipfile.ZipInfo(_LABELS, _DATE), lines.encode(errors="backslashreplace")
            )
