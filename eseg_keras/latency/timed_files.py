"""Files to time."""

from pathlib import Path

import keras

from eseg_keras.latency.formats import FORMATS
from eseg_keras.optional import require
from eseg_keras.street_scenes import scene_images


def write_timed_file(
    format_: str, model: keras.Model, path: Path, image_size: tuple[int, int], trained: bool
) -> None:
    """Write a model for one image size, label map out.

    Files of trained networks are those of `eseg_keras.export`, compared with the network. Those of
    random weights are converted in the same way and written as they are: in 8 bits rounding turns
    most of their labels over, which does not change how long they take.

    Args:
        format_: One of `FORMATS`, other than `"keras"`.
        model: An `ESeg` model.
        path: The file or directory to write.
        image_size: (height, width).
        trained: Whether the weights are trained.

    Raises:
        ValueError: If the file does not compute what the network computes.
    """
    from eseg_keras.export.quiet import quiet

    convert = {"saved_model": _saved_model, "tflite": _tflite, "onnx": _onnx}
    kind = format_.removesuffix("_int8")
    with quiet("tensorflow"):
        if trained:
            _export(kind, model, path, image_size, FORMATS[format_].precision)
        else:
            convert[kind](model, path, image_size, FORMATS[format_].precision)


def _export(kind, model, path, image_size, precision):
    from eseg_keras.export.onnx.exporter import export_onnx
    from eseg_keras.export.saved_model.exporter import export_saved_model
    from eseg_keras.export.tflite.exporter import export_tflite

    channels = model.image_shape[-1]
    options = {
        "image_size": image_size,
        "verification_images": scene_images("test", 3, image_size, channels),
    }
    if kind == "saved_model":
        export_saved_model(model, path, version=1, **options)
        return
    if precision == "int8":
        options["calibration_images"] = _calibration_images(image_size, channels)
    exporter = {"tflite": export_tflite, "onnx": export_onnx}[kind]
    exporter(model, path, precision=precision, **options)


def _saved_model(model, path, image_size, precision):
    from eseg_keras.export.saved_model.image_codec import MAX_SERVED_PIXELS
    from eseg_keras.export.saved_model.signatures import SERVING_DEFAULT, serving_module

    tf = require("tensorflow", "tensorflow-cpu")
    module, functions = serving_module(model, "labels", "uint8", image_size, MAX_SERVED_PIXELS)
    signatures = {SERVING_DEFAULT: functions[SERVING_DEFAULT]}
    tf.saved_model.save(module, str(path / "1"), signatures=signatures)


def _tflite(model, path, image_size, precision):
    from eseg_keras.export.tflite.conversion import convert

    images = _calibration_images(image_size)
    path.write_bytes(convert(model, "labels", "uint8", image_size, precision, images))


def _onnx(model, path, image_size, precision):
    from eseg_keras.export.onnx.conversion import DEFAULT_OPSET, convert_to_onnx
    from eseg_keras.export.onnx.int8 import quantize_onnx
    from eseg_keras.export.served_graph.network import serving_model

    served = serving_model(model, "labels", "uint8", image_size, channels_first=True)
    converted = convert_to_onnx(served, model, batch=None, opset=DEFAULT_OPSET)
    if precision == "int8":
        converted = quantize_onnx(converted, _calibration_images(image_size))
    path.write_bytes(converted.SerializeToString())


def _calibration_images(image_size, channels=3):
    # 8-bit ranges of a network that is only timed need no more.
    return scene_images("train", 4, image_size, channels)
