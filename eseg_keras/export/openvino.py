"""Export to OpenVINO, for CPUs that compute in bfloat16, and run the files."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from eseg_keras.export.onnx.conversion import DEFAULT_OPSET, convert_to_onnx
from eseg_keras.export.preparation import (
    VERIFIED_SIZES,
    classes_json,
    exported_size,
    in_float32,
    one_writer,
    resize_verification_images,
)
from eseg_keras.export.served_graph.network import serving_model
from eseg_keras.export.verification import TOLERANCES, Verification, verify
from eseg_keras.files import atomic_file
from eseg_keras.optional import require

_CLASSES = ["eseg_keras", "classes"]


@one_writer
def export_openvino(
    model: keras.Model,
    output: str | os.PathLike,
    *,
    output_kind: str = "labels",
    input_dtype: str = "uint8",
    image_size: tuple[int, int] | None = None,
    verification_images: Sequence[np.ndarray],
) -> Verification:
    """Write a model as an OpenVINO network (IR), `NAME.xml` and `NAME.bin`, and verify it.

    The network takes `images` [B, H, W, C] of any batch size, and has float32 weights. By default,
    OpenVINO computes in bfloat16 on CPUs that support it (some Intel Xeon since 2020, AMD since
    2022), and in float32 on other CPUs. On an Intel Xeon with AMX, three networks took 0.44 to 0.81
    of the time of their float32 ONNX files. If this CPU supports bfloat16, the network is verified
    in both precisions. Existing files are replaced. The comparison with the model is written beside
    the files, as `OUTPUT.verification.json`.

    Args:
        model: An `ESeg` model, on the TensorFlow backend. The dtype policy is ignored.
        output: The file, such as `"streets.xml"`.
        output_kind: `"labels"` for uint8 label maps [B, H, W], `"logits"` or `"probabilities"` for
            float32 [B, H, W, num_classes].
        input_dtype: dtype of the images, `"uint8"` or `"float32"`, with values of 0..255 for both.
        image_size: (height, width) of the images. Defaults to the network's fixed size if it has
            one, else any size from 32x32.
        verification_images: A few uint8 arrays [H, W, C] that resemble the training images but were
            not used for training. They are resized to the size that the network takes or, if it
            takes any size, to several sizes in turn.

    Returns:
        The comparison of the outputs with the model's, in the precision that OpenVINO chooses.

    Raises:
        ValueError: If an argument is invalid.
        FileInUseError: If another process writes the same output.
        VerificationError: If the outputs of the network differ from the model's. Nothing is written
            then.

    Example:

    >>> import tempfile
    >>> import eseg_keras
    >>> from eseg_keras.export import export_openvino
    >>> from eseg_keras.street_scenes import scene_images
    >>> model = eseg_keras.ESeg.from_preset("eseg_lite_s_streets")
    >>> path = tempfile.mkdtemp() + "/streets.xml"
    >>> images = scene_images("test", 2, (96, 160))
    >>> export_openvino(model, path, image_size=(96, 160), verification_images=images).passed
    True

    Reference:
        [OpenVINO](https://docs.openvino.ai), Precision control
    """
    output = Path(output)
    if output.suffix != ".xml":
        raise ValueError(
            "output must end in .xml, because OpenVINO derives the name of the .bin file from it. "
            f"Received: {output}"
        )
    image_size = exported_size(model, image_size)
    channels = model.image_shape[-1]
    images = resize_verification_images(
        verification_images, [image_size] if image_size else VERIFIED_SIZES, channels
    )
    model = in_float32(model)
    openvino = require("openvino", "openvino")
    network = convert_to_openvino(model, output_kind, input_dtype, image_size)
    weights = output.with_suffix(".bin")
    with atomic_file(output) as temporary, atomic_file(weights) as temporary_weights:
        openvino.serialize(network, temporary, temporary_weights)
        for precision in cpu_precisions():
            verification = verify(
                _runner(openvino.Core().read_model(temporary, temporary_weights), precision),
                model,
                images,
                output_kind=output_kind,
                tolerance=TOLERANCES[precision],
                package="openvino",
            )
            verification.check()
        verification.write(output)
    return verification


def convert_to_openvino(
    model: keras.Model, output_kind: str, input_dtype: str, image_size: tuple[int, int] | None
):
    """Convert an `ESeg` model to an `openvino.Model`, with its classes."""
    core = require("openvino", "openvino").Core()
    # Only the first and the last layer compute with the channels first: OpenVINO chooses the
    # layouts in between by itself, and the matrix products that `channels_first` puts in place of
    # resizing are slower. Its operations on a last axis of few channels are slow: centring images
    # of 512x1024 took a sixth of the latency of eseg_lite_s.
    size = image_size or (None, None)
    served = serving_model(model, output_kind, input_dtype, size, ends_channels_first=True)
    converted = convert_to_onnx(served, model, batch=None, opset=DEFAULT_OPSET)
    network = core.read_model(converted.SerializeToString())
    network.set_rt_info(classes_json(model), _CLASSES)
    return network


def cpu_precisions() -> tuple[str, ...]:
    """Return the precisions that OpenVINO supports on this CPU; the last one is its default."""
    core = require("openvino", "openvino").Core()
    has_bfloat16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("float32", "bfloat16") if has_bfloat16 else ("float32",)


def openvino_runner(
    path: str | os.PathLike, threads: int | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that runs a file of `export_openvino` on uint8 images [B, H, W, C].

    OpenVINO computes in its default precision. The attribute `image_shape` of the function is (H,
    W, C), with `None` for any size.
    """
    return _runner(_read(path), cpu_precisions()[-1], threads)


def read_openvino_classes(path: str | os.PathLike) -> dict:
    """Read the classes from a file that `export_openvino` wrote.

    Args:
        path: The `.xml` file.

    Returns:
        Dict with the keys `num_classes`, `ignore_label`, `class_names` and `palette`; the values of
        the last two may be `None`.

    Raises:
        ValueError: If the file is not an OpenVINO network, or contains no classes.
    """
    network = _read(path)
    if not network.has_rt_info(_CLASSES):
        raise ValueError(f"{path} contains no classes. Expected a file written by export_openvino.")
    return json.loads(network.get_rt_info(_CLASSES).value)


def _read(path):
    frontend = require("openvino.frontend", "openvino").FrontEndManager().load_by_framework("ir")
    try:
        return frontend.convert(frontend.load(os.fspath(path)))
    except RuntimeError as error:
        weights = Path(path).with_suffix(".bin")
        hint = "" if weights.is_file() else f": there is no {weights}"
        raise ValueError(f"{path} cannot be read by OpenVINO{hint}. Export it again.") from error


def _runner(network, precision, threads=None):
    core = require("openvino", "openvino").Core()
    hints = {"float32": "f32", "bfloat16": "bf16"}
    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hints[precision]}
    if threads is not None:
        config["INFERENCE_NUM_THREADS"] = threads
    compiled = core.compile_model(network, "CPU", config)
    (images,) = network.inputs
    dtype = images.element_type.to_dtype()

    def run(batch):
        (answer,) = compiled(batch.astype(dtype)).values()
        return answer

    shape = images.partial_shape
    run.image_shape = tuple(None if n.is_dynamic else n.get_length() for n in list(shape)[1:])
    return run
