"""TFLite files for LiteRT on phones and boards."""

import json
import os
import zipfile
from collections.abc import Callable, Sequence

import keras
import numpy as np

from eseg_keras.export.images import prepare_images
from eseg_keras.export.preparation import (
    check_choice,
    classes_json,
    exported_size,
    in_float32,
    one_writer,
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
    "dynamic": "Nothing was written: try precision float16 if 8-bit weights are too coarse.",
    "int8": "Nothing was written: try calibration_images of its task, or precision dynamic or "
    "float16 if 8 bits are too coarse.",
}
# To verify files for images of any size: two sizes that all strides divide, and one that none does.
_SIZES = ((192, 384), (384, 768), (97, 131))
_CLASSES = "classes.json"
_LABELS = "labels.txt"
# A fixed date, so that equal exports are equal files.
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

    The file takes one image, `images` [1, H, W, C], and uses only TFLite's own operators. It holds
    class names, palette and ignore label, see `read_tflite_classes`. An existing file is replaced;
    `OUTPUT.verification.json` is written beside it.

    Args:
        model: An `ESeg` model, on the TensorFlow backend. The dtype policy is ignored: exports
            are float32.
        output: The file, such as `"streets.tflite"`.
        output_kind: `"labels"` for a uint8 label map [1, H, W], `"logits"` or `"probabilities"` for
            [1, H, W, num_classes].
        input_dtype: dtype of the image, `"uint8"` or `"float32"`, of 0..255 either way.
        image_size: (height, width) of the image; a fixed size is faster. Defaults to that of the
            network if it has one, else any from 32 up, set by `resize_tensor_input`.
        precision: `"float32"`; `"float16"`, for weights of half the size; `"dynamic"`, for 8-bit
            weights, and 8-bit activations in most convolutions; or `"int8"`, for 8 bits throughout:
            images are uint8, and so are logits and probabilities, with scale and zero point.
        calibration_images: Required for `"int8"`: a few dozen uint8 arrays [H, W, C] of the
            network's task, of any size. They are resized to `image_size`.
        verification_images: A few uint8 arrays [H, W, C] of the network's task that it was not
            trained on, for the comparison. They are resized to `image_size`, or to several sizes
            in turn. By default, one in four of `calibration_images`, at most three, is held out
            for the verification; required without `calibration_images`.

    Returns:
        The comparison with the model.

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
            f"An int8 network takes uint8 images. Received: input_dtype={input_dtype!r}"
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
    """Load a TFLite file as a function of uint8 images; it returns scores as float32.

    Its attribute `image_shape` is (H, W, C), with `None` for any size.
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
    """Read the classes from a TFLite file that `export_tflite` wrote.

    Args:
        path: The `.tflite` file.

    Returns:
        Dict of `class_names` and `palette`, either may be `None`, `ignore_label` and
        `num_classes`.

    Raises:
        ValueError: If the file holds no classes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(_CLASSES))
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(
            f"{path} holds no classes. Expected a file written by export_tflite."
        ) from error


def _append_classes(path, model):
    """Append the classes as a zip archive, as the TFLite metadata standard does with files."""
    content = classes_json(model)
    names = json.loads(content)["class_names"] or []
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(_CLASSES, _DATE), content)
        if names:
            lines = "".join(" ".join(name.splitlines()) + "\n" for name in names)
            archive.writestr(
                zipfile.ZipInfo(_LABELS, _DATE), lines.encode(errors="backslashreplace")
            )
