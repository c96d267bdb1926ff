"""ONNX files in ONNX Runtime, compared with the network."""

import functools
import json
import re
from collections import Counter

import numpy as np
import pytest

from eseg_keras.export.onnx import exporter
from eseg_keras.export.onnx.conversion import onnx_runner, read_onnx_classes
from eseg_keras.export.onnx.int8 import quantize_onnx
from eseg_keras.export.verification import VerificationError
from eseg_keras.street_scenes import render_scene, scene_images

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.usefixtures("module_eagerly")

export_onnx = functools.partial(
    exporter.export_onnx, verification_images=scene_images("test", 3, (192, 384))
)


def scenes(size, count=2):
    return [render_scene(index, "test", size)[0] for index in range(count)]


@pytest.fixture(scope="module")
def exported(streets, tmp_path_factory):
    """The default export: labels, for any batch size and image size."""
    path = tmp_path_factory.mktemp("onnx") / "streets.onnx"
    return path, export_onnx(streets, path)


def test_labels_at_any_size_and_batch(streets, exported):
    path, verification = exported
    assert verification.passed and verification.label_agreement >= 0.9999
    run = onnx_runner(path, threads=1)
    # For sizes that are multiples of the stride, the file interpolates logits only near boundaries
    # between classes; for other sizes, it upsamples all logits.
    for size in ((64, 96), (33, 47), (90, 160), (45, 80)):
        images = np.stack(scenes(size, 3))
        assert (run(images) == streets.segment(images)).mean() >= 0.9999


def test_an_image_of_one_class(streets, exported):
    # All cells have the same label: nothing is interpolated.
    run = onnx_runner(exported[0], threads=1)
    images = np.full((1, 64, 64, 3), 90, "uint8")
    np.testing.assert_array_equal(run(images), streets.segment(images))


def test_what_the_file_says(exported, streets):
    model = onnx.load(exported[0])
    onnx.checker.check_model(model, full_check=True)
    (images,), (labels,) = model.graph.input, model.graph.output
    assert (images.name, labels.name) == ("images", "labels")
    dimensions = [d.dim_param or d.dim_value for d in images.type.tensor_type.shape.dim]
    assert dimensions == ["batch", "height", "width", 3]
    dimensions = [d.dim_param or d.dim_value for d in labels.type.tensor_type.shape.dim]
    assert dimensions == ["batch", "height", "width"]
    assert labels.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [entry.version for entry in model.opset_import if not entry.domain] == [17]
    classes = read_onnx_classes(exported[0])
    assert classes["class_names"] == list(streets.class_names)
    assert classes["palette"] == [list(colour) for colour in streets.palette]
    assert classes["ignore_label"] == 255 and classes["num_classes"] == 8


def test_the_comparison_is_beside_the_file(exported):
    path, verification = exported
    written = json.loads((path.parent / "streets.onnx.verification.json").read_text())
    assert written == json.loads(json.dumps(verification.as_dict()))
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "streets.onnx",
        "streets.onnx.verification.json",
    ]


def test_nothing_slow_is_left_in_the_graph(exported):
    nodes = onnx.load(exported[0]).graph.node
    operators = Counter(node.op_type for node in nodes)
    # Only the logits and the inputs of the sum over levels are transposed.
    assert operators["Transpose"] <= 7
    assert operators["Conv"] == 60
    # The first convolution reads rows of images, whose columns have three values.
    stem = next(node for node in nodes if node.op_type == "Conv")
    strides = next(entry for entry in stem.attribute if entry.name == "strides")
    assert list(strides.ints) == [2, 6]


@pytest.mark.parametrize(
    "options",
    [
        {"output_kind": "logits", "image_size": (97, 131)},
        {
            "output_kind": "probabilities",
            "input_dtype": "float32",
            "image_size": (64, 96),
            "opset": 13,
        },
        {"precision": "int8", "output_kind": "logits", "image_size": (192, 384)},
    ],
    ids=lambda options: "-".join(str(value) for value in options.values()),
)
def test_options(streets, tmp_path, options):
    if "precision" in options:
        options = options | {"calibration_images": scene_images("train", 8, (192, 384))}
    verification = export_onnx(streets, tmp_path / "streets.onnx", **options)
    assert verification.passed
    if options.get("output_kind") == "logits":
        assert verification.relative_difference < (0.05 if "precision" in options else 1e-5)
    if "precision" in options:
        assert verification.label_agreement > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["eseg_edge_s", "eseg_lite_l", "eseg_lite_s", "eseg_l"])
def test_every_structure(small_model, tmp_path, preset):
    path = tmp_path / "thin.onnx"
    verification = export_onnx(
        small_model(preset), path, output_kind="logits", image_size=(97, 131)
    )
    assert verification.relative_difference < 1e-5

    images = [render_scene(index, "train", (97, 131))[0] for index in range(8)]
    onnx.save(quantize_onnx(onnx.load(path), images), tmp_path / "int8.onnx")
    run, run_int8 = onnx_runner(path), onnx_runner(tmp_path / "int8.onnx")
    image = scenes((97, 131), 1)[0][None]
    noise = np.random.default_rng(0).choice([-1, 1], image.shape)
    noisy = np.clip(image + noise, 0, 255).astype("uint8")
    # A network with random weights amplifies errors, so compare the rounding errors with the
    # network's response to noise.
    logits = run(image)
    by_noise, by_rounding = (run(noisy) - logits).std(), (run_int8(image) - logits).std()
    assert 0.001 * logits.std() < by_rounding < 0.15 * logits.std() + 1.5 * by_noise


def test_int8_network(exported):
    quantized = quantize_onnx(onnx.load(exported[0]), scenes((64, 96), 2))
    produced = {name: node for node in quantized.graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in quantized.graph.initializer}
    in_float = []
    for node in (node for node in quantized.graph.node if node.op_type == "Conv"):
        weights = produced.get(node.input[1])
        if weights is None:
            # The Keras name is part of the names of the weights or, if folded, of the node.
            names = " ".join([node.name, *node.input[1:]])
            in_float.append(re.search(r"(?:encoder|decoder|head)_1/(\w+?)(?:_1)?/", names)[1])
            continue
        assert weights.op_type == produced[node.input[0]].op_type == "DequantizeLinear"
        values, scales = (constants[name] for name in weights.input[:2])
        assert values.data_type == onnx.TensorProto.INT8
        assert list(scales.dims) == [values.dims[0]]
    assert in_float == ["stem", "stage1_block1_conv", "depthwise", "pointwise", "classifier"]
    assert {entry.key for entry in quantized.metadata_props} >= {"class_names", "palette"}


def test_ranges_come_from_the_images(exported):
    model = onnx.load(exported[0])
    sums = []
    for image in (np.full((64, 96, 3), 120, "uint8"), *scenes((64, 96), 1)):
        quantized = quantize_onnx(model, [image])
        constants = {tensor.name: tensor for tensor in quantized.graph.initializer}
        nodes = [node for node in quantized.graph.node if node.op_type == "QuantizeLinear"]
        assert len(nodes) > 50
        sums.append(sum(onnx.numpy_helper.to_array(constants[n.input[1]]).sum() for n in nodes))
    assert sums[1] > 1.2 * sums[0]


def test_a_failed_comparison_leaves_nothing(tiny_model, tmp_path):
    # With equal logits no label is clear, so a comparison would accept any label.
    tiny_model.head.get_layer("classifier").kernel.assign(np.zeros((1, 1, 8, 3)))
    with pytest.raises(VerificationError, match="no pixel has a clear label"):
        export_onnx(tiny_model, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options, message",
    [
        ({"precision": "fp16"}, "precision must be one of"),
        ({"calibration_images": []}, "only for precision='int8'"),
        ({"precision": "int8"}, "needs calibration_images"),
        ({"verification_images": None}, "verification_images are needed to compare"),
        ({"image_size": (31, 64)}, "image_size must be at least 32 pixels"),
        ({"opset": 9}, "opset must be from"),
        ({"output_kind": "masks"}, "output_kind must be one of"),
    ],
)
def test_bad_arguments(streets, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export_onnx(streets, tmp_path / "a.onnx", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_program(tmp_path):
    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "a.onnx")
    with pytest.raises(ValueError, match="written by export_onnx"):
        read_onnx_classes(tmp_path / "a.onnx")
