"""Export to TensorRT on NVIDIA GPUs, for one image of a fixed size."""

import logging
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from eseg_keras.export.onnx.conversion import DEFAULT_OPSET, convert_to_onnx, onnx_runner
from eseg_keras.export.preparation import (
    check_choice,
    exported_size,
    in_float32,
    one_writer,
    resize_verification_images,
)
from eseg_keras.export.quiet import quiet
from eseg_keras.export.served_graph.network import serving_model
from eseg_keras.export.tensorrt.engine import (
    EngineRunner,
    build_engine,
    gpu_name,
    installed_tensorrt,
    title,
)
from eseg_keras.export.tensorrt.operators import check_tensorrt_operators
from eseg_keras.export.verification import TOLERANCES, Verification, verify
from eseg_keras.files import atomic_file, write_json
from eseg_keras.optional import require

# Image size at which the paper measures latency; it also reports ESeg-Lite-M at (512, 1024).
PAPER_SIZE = (1024, 2048)
PRECISIONS = {"fp32": "float32", "fp16": "float16"}

_log = logging.getLogger("eseg_keras")


@one_writer
def export_tensorrt(
    model: keras.Model,
    output: str | os.PathLike,
    *,
    output_kind: str = "labels",
    input_dtype: str = "uint8",
    verification_images: Sequence[np.ndarray],
    image_size: tuple[int, int] | None = None,
    precision: str = "fp32",
) -> Verification:
    """Write a model as an ONNX file for TensorRT, and the command that builds and times an engine.

    The file takes one image of a fixed size, as in the paper's measurements, and uses only
    operators that TensorRT supports. The file sets the dtype of each tensor, as TensorRT's strongly
    typed networks require. It is verified in ONNX Runtime. `OUTPUT.trtexec.json` contains the
    command; the `Throughput` that the command prints is in frames per second.

    If TensorRT or TensorRT for RTX is installed, the engine `NAME.engine` is built, too; the engine
    runs only with the installed version. TensorRT builds engines for the GPU of this machine, and
    none without a GPU. TensorRT for RTX builds engines for all GPUs since Ampere, and needs no GPU
    to build. If there is a GPU, the engine is compared with the model and timed. The results are in
    `NAME.engine.json`.

    Args:
        model: See `export_onnx`.
        output: The file, such as `"streets.onnx"`; replaced if it exists.
        output_kind: `"labels"` for a uint8 label map [1, H, W], `"logits"` or `"probabilities"` for
            float32 [1, H, W, num_classes].
        input_dtype: dtype of the image, `"uint8"` or `"float32"`, with values of 0..255 for both.
        verification_images: See `export_onnx`; they are resized to `image_size`.
        image_size: (height, width) of the image. Defaults to the network's fixed size if it has
            one, else (1024, 2048), as in the paper.
        precision: `"fp32"`, or `"fp16"` for half precision in all layers except image scaling, the
            last upsampling, argmax and softmax.

    Returns:
        The comparison of the ONNX file's outputs with the model's.

    Raises:
        ValueError: If an argument is invalid, or TensorRT does not support the network.
        ImportError: If TensorRT or TensorRT for RTX is installed, but not `cuda-bindings`, which
            runs engines.
        FileInUseError: If another process writes the same output.
        VerificationError: If the outputs of the file, or of the engine, differ from the model's.
            Nothing is written then.

    Example:

    >>> import tempfile
    >>> import eseg_keras
    >>> from eseg_keras.export import export_tensorrt
    >>> from eseg_keras.street_scenes import scene_images
    >>> model = eseg_keras.ESeg.from_preset("eseg_lite_s_streets")
    >>> path = tempfile.mkdtemp() + "/streets.onnx"
    >>> images = scene_images("test", 2, (96, 160))
    >>> export_tensorrt(model, path, image_size=(96, 160), verification_images=images).passed
    True

    Reference:
        [Revisiting Multi-Scale Feature Fusion for Semantic Segmentation](https://arxiv.org/abs/2203.12683),
        [trtexec](https://docs.nvidia.com/deeplearning/tensorrt/latest/reference/command-line-programs.html)
    """
    check_choice("precision", precision, PRECISIONS)
    image_size = exported_size(model, image_size) or PAPER_SIZE
    images = resize_verification_images(verification_images, [image_size], model.image_shape[-1])
    model = in_float32(model)
    output = Path(output)
    if output.suffix == ".engine":
        raise ValueError(
            "output is the name of the ONNX file; the engine beside it gets the suffix .engine. "
            f"Expected a name such as {output.with_suffix('.onnx')}. Received: {output}"
        )
    onnx = require("onnx", "export")
    trt = installed_tensorrt()
    # Import `cuda` here, so that a missing package raises an error before the slow steps.
    cuda = trt and require("cuda.bindings.runtime", trt.__name__.replace("_", "-"))
    # On a GPU, upsampling all logits should be faster than selecting logits near boundaries.
    served = serving_model(
        model, output_kind, input_dtype, image_size, channels_first=True, shortcut=False
    )
    converted = convert_to_onnx(served, model, batch=1, opset=DEFAULT_OPSET)
    if precision == "fp16":
        converted = _half_precision(converted)
    check_tensorrt_operators(converted)
    tolerance = TOLERANCES[PRECISIONS[precision]]

    def compare(run, package):
        found = verify(
            run, model, images, output_kind=output_kind, tolerance=tolerance, package=package
        )
        found.check()
        return found

    with atomic_file(output) as temporary:
        onnx.save(converted, temporary)
        verification = compare(onnx_runner(temporary), "onnxruntime")
        if trt is not None:
            _write_engine(trt, cuda, temporary.read_bytes(), output, precision, compare)
        verification.write(output)
        command = trtexec_command(output.name, precision)
        content = {"command": shlex.join(command), "frames_per_second": "Throughput, in qps"}
        write_json(output.with_name(f"{output.name}.trtexec.json"), content)
    _log.warning("To build and time an engine with TensorRT's own tool: %s", shlex.join(command))
    return verification


def trtexec_command(path: str | os.PathLike, precision: str) -> list[str]:
    """Return the trtexec command that builds an engine and times it, without data transfers."""
    path = Path(path)
    command = ["trtexec", f"--onnx={path}", f"--saveEngine={path.with_suffix('.engine')}"]
    command += ["--stronglyTyped", "--noDataTransfers", "--useCudaGraph", "--useSpinWait"]
    # Disable TF32, which rounds the inputs of 32-bit convolutions to 19 bits.
    return command + ["--noTF32"] * (precision == "fp32")


def _half_precision(converted):
    float16 = require("onnxruntime.transformers.float16", "export")
    parts = ("/image_scaling", "/upsample", "/cell_argmax", "Softmax")
    names = [node.name for node in converted.graph.node]
    kept = [name for name in names if any(part in name for part in parts)]
    with quiet(""):
        return float16.convert_float_to_float16(converted, keep_io_types=True, node_block_list=kept)


def _write_engine(trt, cuda, onnx_file, output, precision, compare):
    gpu = gpu_name(cuda)
    if gpu is None and trt.__name__ == "tensorrt":
        _log.warning("No engine was built: %s needs a GPU, and there is none.", title(trt))
        return
    engine = build_engine(trt, onnx_file, precision)
    path = output.with_suffix(".engine")
    report = {"built_by": title(trt), "precision": precision, "gpu": gpu}
    if gpu is None:
        _log.warning("%s was built by %s, but not run: there is no GPU.", path.name, title(trt))
    else:
        with EngineRunner(trt, cuda, engine) as runner:
            report["verification"] = compare(runner, trt.__name__).as_dict()
            times = runner.times()
        seconds = float(np.median(times))
        report |= {"median_ms": 1000 * seconds, "frames_per_second": 1 / seconds}
        _log.warning(
            "%s was built by %s. Its outputs agree with the network's. It takes %.2f ms per image "
            "on %s: %.0f frames per second.",
            *(path.name, title(trt), 1000 * seconds, gpu, 1 / seconds),
        )
    with atomic_file(path) as temporary:
        temporary.write_bytes(engine)
    write_json(path.with_name(f"{path.name}.json"), report)
