"""Files to time."""

from pathlib import Path

import keras
import numpy as np

from eseg_keras.latency.formats import FORMATS
from eseg_keras.optional import require
from eseg_keras.street_scenes import render_scene

# 8-bit ranges of a network that is only timed need no more.
_NUM_REPRESENTATIVE = 4


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
    from eseg_keras.export.loggers import quiet

    convert = {"saved_model": _saved_model, "tflite": _tflite, "onnx": _onnx}
    kind = format_.removesuffix("_int8")
    with quiet("tensorflow"):
        if trained:
            _export(kind, model, path, image_size, FORMATS[format_].precision)
        else:
            convert[kind](model, path, image_size, FORMATS[format_].precision)


def _export(kind, model, path, image_size, precision):
    from eseg_keras.export.onnx_network import export_onnx
    from eseg_keras.export.saved_model import export_saved_model
    from eseg_keras.export.tflite import export_tflite

    if kind == "saved_model":
        export_saved_model(model, path, input_size=image_size, version=1)
        return
    options = {}
    if precision == "int8":
        options["representative_images"] = _scenes(image_size, model.image_shape[-1])
    exporter = {"tflite": export_tflite, "onnx": export_onnx}[kind]
    exporter(model, path, input_size=image_size, precision=precision, **options)


def _saved_model(model, path, image_size, precision):
    from eseg_keras.export.image_codec import MAX_SERVED_PIXELS
    from eseg_keras.export.signatures import SERVING_DEFAULT, serving_module

    tf = require("tensorflow", "tensorflow-cpu")
    module, functions = serving_module(model, "labels", "uint8", image_size, MAX_SERVED_PIXELS)
    signatures = {SERVING_DEFAULT: functions[SERVING_DEFAULT]}
    tf.saved_model.save(module, str(path / "1"), signatures=signatures)


def _tflite(model, path, image_size, precision):
    from eseg_keras.export.tflite_conversion import convert

    images = _scenes(image_size)
    path.write_bytes(convert(model, "labels", "uint8", image_size, precision, images))


def _onnx(model, path, image_size, precision):
    from eseg_keras.export.onnx_conversion import DEFAULT_OPSET, convert_to_onnx
    from eseg_keras.export.onnx_int8 import quantize_onnx
    from eseg_keras.export.served_network import serving_model

    served = serving_model(model, "labels", "uint8", image_size, channels_first=True)
    converted = convert_to_onnx(served, model, batch=None, opset=DEFAULT_OPSET)
    if precision == "int8":
        converted = quantize_onnx(converted, _scenes(image_size))
    path.write_bytes(converted.SerializeToString())


def _scenes(image_size, channels=3):
    scenes = [render_scene(index, "train", image_size)[0] for index in range(_NUM_REPRESENTATIVE)]
    return [scene[..., np.arange(channels) % 3] for scene in scenes]
