"""ONNX files for TensorRT, run by ONNX Runtime without a GPU."""

import functools
import json

import pytest

from eseg_keras.export.tensorrt import exporter
from eseg_keras.export.tensorrt.exporter import trtexec_command
from eseg_keras.export.tensorrt.operators import check_tensorrt_operators
from eseg_keras.street_scenes import scene_images

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.usefixtures("module_eagerly")

export_tensorrt = functools.partial(
    exporter.export_tensorrt, verification_images=scene_images("test", 3, (192, 384))
)


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch):
    monkeypatch.setattr(exporter, "installed_tensorrt", lambda: None)


def graph(*nodes, shape=(1, 4, 6, 8), kind="FLOAT", out_kind=None, opset=17):
    kinds = [getattr(onnx.TensorProto, name) for name in (kind, out_kind or kind)]
    x = onnx.helper.make_tensor_value_info("x", kinds[0], shape)
    y = onnx.helper.make_tensor_value_info("y", kinds[1], (1, 4, 6, 8))
    scales = onnx.helper.make_tensor("scales", onnx.TensorProto.FLOAT, [4], [1.0] * 4)
    body = onnx.helper.make_graph(list(nodes), "graph", [x], [y], [scales])
    imports = [onnx.helper.make_opsetid("", opset)]
    return onnx.helper.make_model(body, opset_imports=imports)


def node(*arguments, **options):
    return onnx.helper.make_node(*arguments, **options)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_labels(tiny_model, tmp_path, precision):
    path = tmp_path / "tiny.onnx"
    verification = export_tensorrt(tiny_model, path, image_size=(64, 96), precision=precision)
    assert verification.clear_label_agreement == 1.0
    model = onnx.load(path)
    (images,) = model.graph.input
    shape = [dimension.dim_value for dimension in images.type.tensor_type.shape.dim]
    assert shape == [1, 64, 96, 3]
    weights = next(t for t in model.graph.initializer if len(t.dims) == 4 and t.dims[2] > 1)
    wanted = {"fp32": onnx.TensorProto.FLOAT, "fp16": onnx.TensorProto.FLOAT16}[precision]
    assert weights.data_type == wanted
    command = json.loads((tmp_path / "tiny.onnx.trtexec.json").read_text())["command"]
    assert "--onnx=tiny.onnx" in command and "--stronglyTyped" in command
    assert ("--noTF32" in command) == (precision == "fp32")
    assert len(list(tmp_path.iterdir())) == 3


def test_logits_at_an_odd_size(streets, tmp_path):
    options = {"output_kind": "logits", "input_dtype": "float32", "image_size": (97, 131)}
    verification = export_tensorrt(streets, tmp_path / "a.onnx", **options)
    assert verification.relative_difference < 1e-5


def test_supported_graphs():
    check_tensorrt_operators(graph(node("Relu", ["x"], ["y"])))
    check_tensorrt_operators(
        graph(node("Cast", ["x"], ["y"], to=onnx.TensorProto.FLOAT), kind="UINT8", out_kind="FLOAT")
    )


@pytest.mark.parametrize(
    "model, message",
    [
        (lambda: graph(node("BitShift", ["x", "x"], ["y"], direction="LEFT"), kind="UINT8"),
         "the operator BitShift"),
        (lambda: graph(node("Relu", ["x"], ["y"]), shape=("batch", 4, 6, 8)),
         "the dynamic shape of x"),
        (lambda: graph(node("Transpose", ["x"], ["y"], perm=[0, 1, 2, 3]), kind="UINT8"),
         "Transpose on uint8 values"),
        (lambda: graph(node("Resize", ["x", "", "scales"], ["y"], mode="cubic")),
         "Resize with mode cubic"),
        (lambda: graph(node("Resize", ["x", "", "scales"], ["y"], mode="linear",
                            coordinate_transformation_mode="tf_crop_and_resize")),
         "Resize with coordinate_transformation_mode tf_crop_and_resize"),
        (lambda: graph(node("Relu", ["x"], ["y"]), opset=8), "operator set version 8"),
    ],
)  # fmt: skip
def test_unsupported_graphs(model, message):
    with pytest.raises(ValueError, match=message):
        check_tensorrt_operators(model())


@pytest.mark.parametrize(
    "options, message",
    [
        ({"precision": "int8"}, "precision must be one of"),
        ({"verification_images": ()}, "verification_images are needed"),
        ({"image_size": (16, 64)}, "image_size must be at least 32 pixels"),
    ],
)
def test_bad_arguments(streets, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export_tensorrt(streets, tmp_path / "a.onnx", **options)
    assert list(tmp_path.iterdir()) == []


def test_the_command():
    assert trtexec_command("runs/a.onnx", "fp32") == [
        "trtexec", "--onnx=runs/a.onnx", "--saveEngine=runs/a.engine", "--stronglyTyped",
        "--noDataTransfers", "--useCudaGraph", "--useSpinWait", "--noTF32",
    ]  # fmt: skip
