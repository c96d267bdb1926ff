"""Calibration ranges of 8-bit values, and the memory that computing the ranges takes."""

import resource
import subprocess
import sys

import numpy as np
import pytest

from eseg_keras.export.onnx.int8 import quantize_onnx

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def chain(count, size, channels=32):
    """Build a chain of convolutions and ReLUs."""
    random = np.random.default_rng(0)
    nodes, weights, name = [], [], "images"
    for index in range(count):
        values = random.normal(size=(channels, 3 if index == 0 else channels, 3, 3))
        # Scaled so that values neither explode nor vanish.
        values *= np.sqrt(2 / (9 * values.shape[1]))
        weights.append(onnx.numpy_helper.from_array(values.astype("float32"), f"w{index}"))
        nodes += [
            onnx.helper.make_node(
                "Conv",
                [name, f"w{index}"],
                [f"conv{index}"],
                name=f"a/encoder/conv{index}/Conv",
                pads=[1, 1, 1, 1],
            ),
            onnx.helper.make_node(
                "Relu", [f"conv{index}"], [f"relu{index}"], name=f"a/encoder/relu{index}/Relu"
            ),
        ]
        name = f"relu{index}"

    def value(name, channels):
        shape = [1, channels, *size]
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    graph = onnx.helper.make_graph(
        nodes, "chain", [value("images", 3)], [value(name, channels)], weights
    )
    opset = onnx.helper.make_opsetid("", 17)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)


def images(size, count):
    random = np.random.default_rng(1)
    return [random.normal(size=(3, *size)).astype("float32") for _ in range(count)]


def test_scales_are_those_of_the_values():
    model, given = chain(4, (16, 24)), images((16, 24), 4)
    quantized = quantize_onnx(model, given)

    names = [name for node in model.graph.node for name in node.output]
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in names
        if name != model.graph.output[0].name
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    outputs = [output.name for output in session.get_outputs()]
    computed = []
    for image in given:
        found = session.run(None, {"images": image[None]})
        computed.append({"images": image[None], **dict(zip(outputs, found, strict=True))})
    constants = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer
    }
    compared = 0
    for node in quantized.graph.node:
        if node.op_type != "QuantizeLinear" or node.input[0] not in computed[0]:
            continue
        values = np.stack([maps[node.input[0]] for maps in computed])
        span = max(values.max(), 0) - min(values.min(), 0)
        np.testing.assert_allclose(constants[node.input[1]], span / 255, rtol=1e-5)
        compared += 1
    assert compared >= 3


@pytest.mark.parametrize("name", ["a/encoder/conv{}/Conv", "Conv__{}", "a/head/conv{}/Conv"])
def test_all_but_the_first_convolution_and_the_head_are_in_8_bits(name):
    """tf2onnx names depthwise convolutions with folded batch normalisation `Conv__NUMBER`."""
    model = chain(4, (16, 24))
    for index, node in enumerate(n for n in model.graph.node if n.op_type == "Conv"):
        node.name = name.format(index)
    quantized = quantize_onnx(model, images((16, 24), 2))
    in_float = [
        node.name
        for node in quantized.graph.node
        if node.op_type == "Conv" and node.input[1].startswith("w") and len(node.input[1]) == 2
    ]
    expected = range(4) if "head" in name else range(1)
    assert in_float == [name.format(index) for index in expected]


def test_feature_maps_are_not_kept():
    count, size, channels = 40, (320, 320), 32
    # In a new process, so that the peak memory is that of the quantization.
    script = (
        f"import test_int8 as tests; print(tests.memory_of_quantizing({count}, {size}, {channels}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=__file__.rpartition("/")[0],
        capture_output=True,
        text=True,
        check=True,
    )
    feature_map = size[0] * size[1] * channels * 4
    assert float(ran.stdout) < 0.25 * 2 * count * feature_map


def memory_of_quantizing(count, size, channels):
    """Return the growth of the peak memory of this process, in bytes."""
    model, given = chain(count, size, channels), images(size, 2)
    quantize_onnx(chain(1, (16, 16)), images((16, 16), 1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    quantize_onnx(model, given)
    # Linux reports kibibytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit
