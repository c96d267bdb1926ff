"""TensorRT: networks for NVIDIA GPUs, of one size and one image at a time."""

import logging
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from eseg_keras.export.images import resize_verification_images
from eseg_keras.export.onnx.conversion import DEFAULT_OPSET, convert_to_onnx, onnx_runner
from eseg_keras.export.preparation import exported_size, in_float32
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

# What the paper times ESeg-Lite-S and -L at; for ESeg-Lite-M it gives (512, 1024) as well.
PAPER_SIZE = (1024, 2048)
PRECISIONS = {"fp32": "float32", "fp16": "float16"}

_log = logging.getLogger("eseg_keras")


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

    The file takes one image of one size, the protocol of the paper's speeds, and holds only what
    TensorRT supports. Its precision is written into it, as TensorRT's strongly typed networks ask
    for. It is checked in ONNX Runtime. `OUTPUT.trtexec.json` tells the command, whose `Throughput`
    is frames a second.

    Where TensorRT or TensorRT for RTX is installed, the engine is built as well: the file's name
    with the ending `.engine`, for this version alone. That of TensorRT is for this GPU, that of
    TensorRT for RTX for any from Ampere on, and built without one as well. Where there is a GPU,
    the engine is run on it, compared with the model and timed: `NAME.engine.json`.

    Args:
        model: An `ESeg` model, on the TensorFlow backend. The dtype policy is ignored: exports
            are float32.
        output: The file, such as `"streets.onnx"`; replaced if it exists.
        output_kind: `"labels"` for a uint8 label map [1, H, W], `"logits"` or `"probabilities"` for
            float32 [1, H, W, num_classes].
        input_dtype: dtype of the image, `"uint8"` or `"float32"`, of 0..255 either way.
        verification_images: uint8 arrays [H, W, C], a few images of the network's task that it was
            not trained on, for the comparison. They are resized to `image_size`.
        image_size: (height, width) of the image. Defaults to the one that the network is built
            for, or (1024, 2048), the paper's.
        precision: `"fp32"`, or `"fp16"` for half precision between the scaled image and the last
            upsampling.

    Returns:
        The comparison of the ONNX file with the model.

    Raises:
        ValueError: If an argument is none of those above, or TensorRT does not support the network.
        ImportError: If TensorRT is installed, but not `cuda-bindings`, by which engines are run.
        VerificationError: If the file, or the engine, does not compute what the model computes.
            Then nothing is written.

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
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision must be one of {', '.join(PRECISIONS)}. Received: {precision!r}"
        )
    image_size = exported_size(model, image_size) or PAPER_SIZE
    images = resize_verification_images(verification_images, [image_size], model.image_shape[-1])
    model = in_float32(model)
    output = Path(output)
    if output.suffix == ".engine":
        raise ValueError(
            f"output is the ONNX file, beside which the engine gets the ending .engine: give one "
            f"such as {output.with_suffix('.onnx')}. Received: {output}"
        )
    onnx = require("onnx", "export")
    trt = installed_tensorrt()
    # Asked for now, and not after minutes.
    cuda = trt and require("cuda.bindings.runtime", trt.__name__.replace("_", "-"))
    # On a GPU all logits are upsampled sooner than those that matter are found.
    served = serving_model(
        model, output_kind, input_dtype, tuple(image_size), channels_first=True, short_cut=False
    )
    converted = convert_to_onnx(served, model, batch=1, opset=DEFAULT_OPSET)
    if input_dtype == "uint8":
        _cast_first(converted.graph)
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
    _log.warning("TensorRT's own tool builds and times an engine by: %s", shlex.join(command))
    return verification


def trtexec_command(path: str | os.PathLike, precision: str) -> list[str]:
    """Return the command that builds an engine and times it, data transfers not counted.

    Args:
        path: The ONNX file.
        precision: `"fp32"` or `"fp16"`.

    Returns:
        The command and its arguments.

    Example:

    >>> from eseg_keras.export.tensorrt.exporter import trtexec_command
    >>> trtexec_command("streets.onnx", "fp16")[:3]
    ['trtexec', '--onnx=streets.onnx', '--saveEngine=streets.engine']
    """
    path = Path(path)
    command = ["trtexec", f"--onnx={path}", f"--saveEngine={path.with_suffix('.engine')}"]
    command += ["--stronglyTyped", "--noDataTransfers", "--useCudaGraph", "--useSpinWait"]
    # Without it, 32-bit convolutions round their inputs to 19 bits.
    return command + ["--noTF32"] * (precision == "fp32")


def _cast_first(graph):
    """Cast images before they are transposed: TensorRT moves no bytes."""
    (transpose,) = (node for node in graph.node if graph.input[0].name in node.input)
    if transpose.op_type == "Cast":
        return
    (cast,) = (node for node in graph.node if transpose.output[0] in node.input)
    transpose.input[0], transpose.output[0] = cast.output[0] + "_first", cast.output[0]
    cast.input[0], cast.output[0] = graph.input[0].name, transpose.input[0]
    nodes = list(graph.node)
    first, second = nodes.index(transpose), nodes.index(cast)
    nodes[first], nodes[second] = cast, transpose
    del graph.node[:]
    graph.node.extend(nodes)


def _half_precision(converted):
    float16 = require("onnxruntime.transformers.float16", "export")
    kept = [node.name for node in converted.graph.node if _is_at_an_end(node.name)]
    with quiet(""):
        return float16.convert_float_to_float16(converted, keep_io_types=True, node_block_list=kept)


def _is_at_an_end(name):
    return any(part in name for part in ("/image_scaling", "/upsample", "/cell_argmax", "Softmax"))


def _write_engine(trt, cuda, onnx_file, output, precision, compare):
    gpu = gpu_name(cuda)
    if gpu is None and trt.__name__ == "tensorrt":
        _log.warning("No engine was built: there is no GPU here, and %s needs one.", title(trt))
        return
    engine = build_engine(trt, onnx_file, precision)
    path = output.with_suffix(".engine")
    report = {"built_by": title(trt), "precision": precision, "gpu": gpu}
    if gpu is None:
        _log.warning("%s was built by %s. It was not run: no GPU.", path.name, title(trt))
    else:
        with EngineRunner(trt, cuda, engine) as runner:
            report["verification"] = compare(runner, trt.__name__).as_dict()
            times = runner.times()
        seconds = float(np.median(times))
        report |= {"median_ms": 1000 * seconds, "frames_per_second": 1 / seconds}
        _log.warning(
            "%s was built by %s, computes what the network computes, and takes %.2f ms an image on "
            "%s: %.0f frames a second.",
            *(path.name, title(trt), 1000 * seconds, gpu, 1 / seconds),
        )
    with atomic_file(path) as temporary:
        temporary.write_bytes(engine)
    write_json(path.with_name(f"{path.name}.json"), report)
