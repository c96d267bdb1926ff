"""TensorRT: networks for NVIDIA GPUs, of one size and one image at a time."""

import importlib.util
import json
import logging
import os
import shlex
from pathlib import Path

import keras

from eseg_keras.export.artefact_files import temporary_output
from eseg_keras.export.exportable import check_float32, exported_size
from eseg_keras.export.loggers import quiet
from eseg_keras.export.onnx_conversion import DEFAULT_OPSET, convert_to_onnx, onnx_runner
from eseg_keras.export.served_network import serving_model
from eseg_keras.export.tensorrt_operators import check_tensorrt_operators
from eseg_keras.export.tolerances import TOLERANCES
from eseg_keras.export.verification import Verification, held_out_images, verify
from eseg_keras.optional import require

# What the paper times ESeg-Lite-S and -L at; for ESeg-Lite-M it gives (512, 1024) as well.
PAPER_SIZE = (1024, 2048)
PRECISIONS = {"fp32": "float32", "fp16": "float16"}

_log = logging.getLogger("eseg_keras")


def export_tensorrt(
    model: keras.Model,
    output: str | os.PathLike,
    *,
    outputs: str = "labels",
    input_dtype: str = "uint8",
    input_size: tuple[int, int] | None = None,
    precision: str = "fp32",
) -> Verification:
    """Write a model as an ONNX file for TensorRT, and the command that builds and times an engine.

    The file takes one image of one size, the protocol of the paper's speeds, and holds only what
    TensorRT supports. Its precision is written into it, as TensorRT's strongly typed networks ask
    for. It is checked in ONNX Runtime. `OUTPUT.trtexec.json` tells the command, whose `Throughput`
    is frames a second. Where TensorRT is installed, the engine is built as well: the file's name
    with the ending `.engine`, for this GPU and this version of TensorRT alone.

    Args:
        model: An `ESeg` model, on the TensorFlow backend.
        output: The file, such as `"streets.onnx"`; replaced if it exists.
        outputs: `"labels"` for a uint8 label map [1, H, W], `"logits"` or `"probabilities"` for
            float32 [1, H, W, num_classes].
        input_dtype: dtype of the image, `"uint8"` or `"float32"`, of 0..255 either way.
        input_size: (height, width) of the image. Defaults to the one that the network is built
            for, or (1024, 2048), the paper's.
        precision: `"fp32"`, or `"fp16"` for half precision between the scaled image and the last
            upsampling.

    Returns:
        The comparison with the model.

    Raises:
        ValueError: If an argument is none of those above, or TensorRT does not support the network.
        VerificationError: If the file does not compute what the model computes. Then nothing is
            written.

    Example:

    >>> import tempfile
    >>> import eseg_keras
    >>> from eseg_keras.export import export_tensorrt
    >>> model = eseg_keras.ESeg.from_preset("eseg_lite_s_streets")
    >>> path = tempfile.mkdtemp() + "/streets.onnx"
    >>> export_tensorrt(model, path, input_size=(96, 160)).passed
    True

    Reference:
        [Revisiting Multi-Scale Feature Fusion for Semantic Segmentation](https://arxiv.org/abs/2203.12683),
        [trtexec](https://docs.nvidia.com/deeplearning/tensorrt/latest/reference/command-line-programs.html)
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision must be one of {', '.join(PRECISIONS)}. Received: {precision!r}"
        )
    input_size = exported_size(model, input_size) or PAPER_SIZE
    check_float32(model)
    output = Path(output)
    if output.suffix == ".engine":
        raise ValueError(
            f"output is the ONNX file, beside which the engine gets the ending .engine: give one "
            f"such as {output.with_suffix('.onnx')}. Received: {output}"
        )
    onnx = require("onnx", "export")
    # On a GPU all logits are upsampled sooner than those that matter are found.
    served = serving_model(
        model, outputs, input_dtype, tuple(input_size), channels_first=True, short_cut=False
    )
    converted = convert_to_onnx(served, model, batch=1, opset=DEFAULT_OPSET)
    if input_dtype == "uint8":
        _cast_first(converted.graph)
    if precision == "fp16":
        converted = _half_precision(converted)
    check_tensorrt_operators(converted)
    with temporary_output(output) as temporary:
        onnx.save(converted, temporary)
        verification = verify(
            onnx_runner(temporary),
            model,
            held_out_images(2, tuple(input_size), model.image_shape[-1]),
            outputs=outputs,
            tolerance=TOLERANCES[PRECISIONS[precision]],
            package="onnxruntime",
        )
        verification.check()
        verification.write(output)
        _write_command(output, precision)
        temporary.replace(output)
    if importlib.util.find_spec("tensorrt") is not None:
        _build_engine(output, precision)
    return verification


def trtexec_command(path: str | os.PathLike, precision: str) -> list[str]:
    """Return the command that builds an engine and times it, data transfers not counted.

    Args:
        path: The ONNX file.
        precision: `"fp32"` or `"fp16"`.

    Returns:
        The command and its arguments.

    Example:

    >>> from eseg_keras.export.tensorrt_network import trtexec_command
    >>> trtexec_command("streets.onnx", "fp16")[:3]
    ['trtexec', '--onnx=streets.onnx', '--saveEngine=streets.engine']
    """
    path = Path(path)
    command = ["trtexec", f"--onnx={path}", f"--saveEngine={path.with_suffix('.engine')}"]
    command += ["--stronglyTyped", "--noDataTransfers", "--useCudaGraph", "--useSpinWait"]
    # Without it, 32-bit convolutions round their inputs to 19 bits.
    return command + ["--noTF32"] * (precision == "fp32")


def _write_command(output, precision):
    command = trtexec_command(output.name, precision)
    path = output.with_name(f"{output.name}.trtexec.json")
    temporary = path.with_name(f".{path.name}.tmp")
    content = {"command": shlex.join(command), "frames_per_second": "Throughput, in qps"}
    temporary.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    temporary.replace(path)
    _log.warning("Build and time the engine beside %s by: %s", output.name, shlex.join(command))


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
    in_float32 = [node.name for node in converted.graph.node if _is_at_an_end(node.name)]
    with quiet(""):
        return float16.convert_float_to_float16(
            converted, keep_io_types=True, node_block_list=in_float32
        )


def _is_at_an_end(name):
    return any(part in name for part in ("/image_scaling", "/upsample", "/cell_argmax", "Softmax"))


def _build_engine(path, precision):
    trt = require("tensorrt", "export")
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(path.read_bytes()):
        reasons = [str(parser.get_error(index)) for index in range(parser.num_errors)]
        raise ValueError(f"TensorRT {trt.__version__} refuses {path}: {'; '.join(reasons)}")
    config = builder.create_builder_config()
    if precision == "fp32":
        config.clear_flag(trt.BuilderFlag.TF32)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ValueError(f"TensorRT {trt.__version__} built no engine of {path}: see its messages.")
    with temporary_output(path.with_suffix(".engine")) as temporary:
        temporary.write_bytes(engine)
        temporary.replace(path.with_suffix(".engine"))
