"""Every ONNX file gets the image in the layout and dtype of the file's input."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper  # noqa: E402

from eseg_keras.latency.formats import onnx_call  # noqa: E402

TYPES = {
    "uint8": TensorProto.UINT8,
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "int64": TensorProto.INT64,
}


def identity(path, shape, dtype="float32", inputs=1):
    """Build an ONNX network that returns its input."""
    names = [f"image{number}" for number in range(inputs)]
    graph = helper.make_graph(
        [helper.make_node("Identity", [names[0]], ["answer"])],
        "identity",
        [helper.make_tensor_value_info(name, TYPES[dtype], shape) for name in names],
        [helper.make_tensor_value_info("answer", TYPES[dtype], None)],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (32, 48, 3), "uint8")


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
@pytest.mark.parametrize(
    "shape", [(1, 3, 32, 48), ("n", 3, "h", "w"), (1, 32, 48, 3), ("n", None, None, 3)]
)
def test_layout_and_dtype(tmp_path, image, shape, dtype):
    (answer,) = onnx_call(identity(tmp_path / "n.onnx", shape, dtype), image, threads=1)()
    expected = image[None] if dtype == "uint8" else image[None] / 255
    if shape[1] == 3:
        expected = np.moveaxis(expected, 3, 1)
    assert answer.dtype == dtype
    np.testing.assert_allclose(answer, expected, atol=1e-3)


@pytest.mark.parametrize(
    "shape, dtype, inputs, message",
    [
        ((1, 3, 64, 48), "uint8", 1, "does not fit one image of 32x48 with 3 channels"),
        ((2, 3, 32, 48), "uint8", 1, "does not fit"),
        ((1, 1, 32, 48), "uint8", 1, "does not fit"),
        (("n", None, None, None), "uint8", 1, "does not fit"),
        ((1, 32, 48), "uint8", 1, "Expected an image"),
        ((1, 3, 32, 48), "int64", 1, "Expected an image"),
        ((1, 3, 32, 48), "uint8", 2, r"has 2 inputs \(image0, image1\)"),
    ],
)
def test_what_is_no_network_for_the_image(tmp_path, image, shape, dtype, inputs, message):
    path = identity(tmp_path / "net.onnx", shape, dtype, inputs)
    with pytest.raises(ValueError, match=message) as error:
        onnx_call(path, image, threads=1)
    assert str(path) in str(error.value)


def test_what_is_no_onnx_file(tmp_path, image):
    with pytest.raises(ValueError, match="There is no file"):
        onnx_call(tmp_path / "net.onnx", image, threads=1)
    (tmp_path / "net.onnx").write_bytes(b"no network")
    with pytest.raises(ValueError, match="net.onnx cannot be loaded by onnxruntime"):
        onnx_call(tmp_path / "net.onnx", image, threads=1)
