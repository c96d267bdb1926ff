"""Export the files to measure in a separate process, whose memory is freed when it ends.

Architectures (presets without trained weights) get random weights, chosen so that the latency is
that of trained networks.
"""

import functools
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import keras
import numpy as np

from eseg_keras.child_process import follow_parent, signals_deferred
from eseg_keras.latency.cached_file import CachedFile
from eseg_keras.latency.formats import FORMATS
from eseg_keras.models import ESeg
from eseg_keras.optional import require
from eseg_keras.presets.catalog import ARCHITECTURES
from eseg_keras.street_scenes import render_scene, scene_images

# The `boundary_share` of eseg_lite_s_streets on street scenes.
_BOUNDARY_SHARE = 0.2
# Street scenes that give networks with random weights their batch normalisation statistics (see
# `untrained_network`). There are several, because the coarsest pyramid level has a single cell per
# scene. They are small, because eseg_l needs 17 KB per pixel for the activations of all layers.
_SCENE_SIZE = (128, 256)
_NUM_SCENES = 6


def export_missing(
    files: Sequence[CachedFile], preset: str, report: Callable[[str], None]
) -> dict[str, str]:
    """Export the files of a preset that are not up to date; return {failed format: reason}."""
    # Exporting a large network takes more memory than running it, and a process keeps that memory.
    context = multiprocessing.get_context("spawn")
    lifeline, held = context.Pipe(duplex=False)
    start = functools.partial(
        ProcessPoolExecutor, 1, context, initializer=follow_parent, initargs=(lifeline,)
    )
    reasons, process = {}, start()
    try:
        for file in files:
            if file.is_current():
                continue
            report(f"exporting {file.network} {file.format}")
            try:
                with signals_deferred():  # `submit` starts the process.
                    task = process.submit(_export, file, preset)
                task.result()
            except BrokenProcessPool:
                reasons[file.format] = (
                    "The export ended unexpectedly, perhaps because of too little memory."
                )
                process.shutdown()
                process = start()
            except Exception as error:  # Converters raise exceptions of many types.
                reasons[file.format] = reason_of(error)
    finally:
        held.close()  # Ends the process, even during an export.
        process.shutdown()
        lifeline.close()
    return reasons


def timed_network(preset: str, image_size: tuple[int, int]) -> keras.Model:
    """Load a trained preset, or build an architecture with random weights for an image size."""
    if preset not in ARCHITECTURES:
        return ESeg.from_preset(preset)
    return untrained_network(preset, timed_image(image_size))


def untrained_network(preset: str, image: np.ndarray) -> keras.Model:
    """Build an architecture with random weights and the latency of a trained network."""
    # With initial weights, the activations of a deep network vanish, and its label maps are noise
    # or a single class. But the latency of exported networks depends on the label map (no
    # interpolation where neighbouring cells have the same label), and 8-bit networks need realistic
    # ranges. Therefore:
    # - Batch normalisation gets the statistics of a few street scenes.
    # - The scale of the batch normalisation after each block's projection is reduced, so that
    #   residual blocks add little to their shortcut, as in trained networks.
    # - The scale and the biases of the classifier are chosen so that a fifth of the 2x2 blocks of
    #   cells contain a boundary.
    keras.utils.set_random_seed(0)
    model = ESeg.from_preset(preset, load_weights=False)
    size = tuple(min(*sides) for sides in zip(image.shape[:2], _SCENE_SIZE, strict=True))
    scenes = np.stack([render_scene(index, "train", size)[0] for index in range(_NUM_SCENES)])
    for layer in model._flatten_layers():
        if layer.name.endswith("project_bn"):
            layer.gamma.assign(layer.gamma * 0.25)
    model.update_batch_norm([scenes])
    stride = 2**model.min_level
    # `predict_on_batch` is compiled; an eager call would keep all activations in memory.
    logits = np.asarray(model.predict_on_batch(image[None]))
    logits = logits[:, stride // 2 :: stride, stride // 2 :: stride]
    mean, deviation = logits.mean((0, 1, 2)), logits.std((0, 1, 2)) + 1e-12
    biases = _biases((logits - mean) / deviation)
    classifier = model.head.get_layer("classifier")
    classifier.kernel.assign(classifier.kernel / deviation)
    classifier.bias.assign((classifier.bias - mean) / deviation + biases)
    return model


def boundary_share(labels: np.ndarray) -> float:
    """Return the share of 2x2 blocks in labels [B, h, w] that contain different labels."""
    corner = labels[:, :-1, :-1]
    others = (labels[:, 1:, :-1], labels[:, :-1, 1:], labels[:, 1:, 1:])
    return float(np.mean(np.any([corner != other for other in others], axis=0)))


def _biases(cells):
    """Find biases that give the target `boundary_share`; they are larger for earlier classes."""
    steps = -np.arange(cells.shape[-1], dtype="float32")
    low, high = 0.0, 4.0
    for _ in range(12):
        middle = (low + high) / 2
        if boundary_share((cells + middle * steps).argmax(-1)) > _BOUNDARY_SHARE:
            low = middle
        else:
            high = middle
    return high * steps


def timed_image(image_size: tuple[int, int], channels: int = 3) -> np.ndarray:
    """Render the street scene that the networks segment, uint8 [H, W, channels]."""
    return render_scene(0, "test", image_size)[0][..., np.arange(channels) % 3]


def reason_of(error: Exception) -> str:
    """Return the message of an `ImportError` or `ValueError`, else its type and first line."""
    if isinstance(error, ImportError | ValueError):
        return str(error)
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300] if lines else 'no reason given'}"


def _export(file, preset):
    """Export a file that outputs label maps; verify it if the weights are trained."""
    from eseg_keras.export.quiet import quiet

    model = _network(preset, file.image_size)
    export = _export_untrained if preset in ARCHITECTURES else _export_trained
    kind = file.format.removesuffix("_int8")
    precision = FORMATS[file.format].precision
    with quiet("tensorflow"):
        file.write(lambda path: export(kind, model, path, file.image_size, precision))


# Cached, because one process exports all files of a network.
_network = functools.cache(timed_network)


def _export_trained(kind, model, path, image_size, precision):
    from eseg_keras.export import (
        export_onnx,
        export_openvino,
        export_saved_model,
        export_tflite,
    )

    channels = model.image_shape[-1]
    options = {
        "image_size": image_size,
        "verification_images": scene_images("test", 3, image_size, channels),
    }
    if kind == "saved_model":
        export_saved_model(model, path, version=1, **options)
        return
    if kind == "openvino":
        export_openvino(model, path, **options)
        return
    if precision == "int8":
        options["calibration_images"] = _calibration_images(image_size, channels)
    exporter = {"tflite": export_tflite, "onnx": export_onnx}[kind]
    exporter(model, path, precision=precision, **options)


def _export_untrained(kind, model, path, image_size, precision):
    """Convert like the exporters but do not verify: 8-bit files with random weights would fail."""
    if kind == "saved_model":
        from eseg_keras.export.saved_model.image_codec import MAX_SERVED_PIXELS
        from eseg_keras.export.saved_model.signatures import SERVING_DEFAULT, serving_module

        tf = require("tensorflow", "tensorflow-cpu")
        module, functions = serving_module(model, "labels", "uint8", image_size, MAX_SERVED_PIXELS)
        signatures = {SERVING_DEFAULT: functions[SERVING_DEFAULT]}
        tf.saved_model.save(module, str(path / "1"), signatures=signatures)
        return
    images = _calibration_images(image_size)
    if kind == "tflite":
        from eseg_keras.export.tflite.conversion import convert

        path.write_bytes(convert(model, "labels", "uint8", image_size, precision, images))
        return
    from eseg_keras.export.onnx.conversion import DEFAULT_OPSET, convert_to_onnx
    from eseg_keras.export.onnx.int8 import quantize_onnx
    from eseg_keras.export.openvino import convert_to_openvino
    from eseg_keras.export.served_graph.network import serving_model

    if kind == "openvino":
        openvino = require("openvino", "openvino")
        network = convert_to_openvino(model, "labels", "uint8", image_size)
        openvino.serialize(network, path, path.with_suffix(".bin"))
        return
    served = serving_model(
        model, "labels", "uint8", image_size, channels_first=True, pack_columns=True
    )
    converted = convert_to_onnx(served, model, batch=None, opset=DEFAULT_OPSET)
    if precision == "int8":
        converted = quantize_onnx(converted, images)
    path.write_bytes(converted.SerializeToString())


def _calibration_images(image_size, channels=3):
    # Only a few images: the latency is measured, not the accuracy.
    return scene_images("train", 4, image_size, channels)
