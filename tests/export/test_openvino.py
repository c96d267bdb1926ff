"""OpenVINO networks, compared with the Keras network."""

import json

import numpy as np
import pytest

from eseg_keras.export import export_openvino, read_openvino_classes, verification
from eseg_keras.export import openvino as exporter
from eseg_keras.export.verification import VerificationError
from eseg_keras.street_scenes import render_scene, scene_images

openvino = pytest.importorskip("openvino")

pytestmark = pytest.mark.usefixtures("module_eagerly")

IMAGES = scene_images("test", 2, (96, 160))


@pytest.fixture(scope="module")
def exported(streets, tmp_path_factory):
    """The default export: labels, for any batch size and image size."""
    path = tmp_path_factory.mktemp("openvino") / "streets.xml"
    return path, export_openvino(streets, path, verification_images=IMAGES)


def labels_in(path, precision, images):
    """Return the label maps that OpenVINO computes in a precision."""
    hint = {"INFERENCE_PRECISION_HINT": precision}
    (labels,) = openvino.compile_model(path, "CPU", hint)(images).values()
    return labels


def users_of(output):
    """Return the nodes of an OpenVINO network that use an output."""
    return [target.get_node() for target in output.get_target_inputs()]


@pytest.mark.parametrize("size", [(64, 96), (33, 47), (45, 80)])
def test_labels_at_any_size_and_batch(streets, exported, size):
    path, verified = exported
    assert verified.passed and verified.runtime.startswith("openvino ")
    images = np.stack([render_scene(index, "test", size)[0] for index in range(2)])
    expected = streets.segment(images)
    assert (labels_in(path, "f32", images) == expected).mean() >= 0.9999
    # The runner computes in bfloat16 if the CPU supports it, else in float32.
    chosen = exporter.openvino_runner(path, threads=1)(images)
    assert chosen.dtype == "uint8" and (chosen == expected).mean() >= 0.99


def test_what_the_files_say(exported, streets):
    path, verified = exported
    folder = sorted(file.name for file in path.parent.iterdir() if not file.name.startswith("."))
    assert folder == ["streets.bin", "streets.xml", "streets.xml.verification.json"]
    network = openvino.Core().read_model(path)
    assert network.input().any_name == "images" and network.output().any_name == "labels"
    # Images are transposed before they are centred: centring is slow if channels are the last axis.
    (cast,) = (node for node in users_of(network.input()) if node.get_type_name() == "Convert")
    assert [node.get_type_name() for node in users_of(cast.output(0))] == ["Transpose"]
    classes = read_openvino_classes(path)
    assert tuple(classes["class_names"]) == streets.class_names and classes["num_classes"] == 8
    report = json.loads(path.with_name("streets.xml.verification.json").read_text())
    assert report["passed"] and report["tolerance"]["agreement"] == verified.tolerance.agreement


@pytest.mark.parametrize("kind", ["logits", "probabilities"])
def test_other_outputs_of_a_fixed_size(streets, tmp_path, kind):
    path = tmp_path / "streets.xml"
    verified = export_openvino(
        streets, path, output_kind=kind, input_dtype="float32", image_size=(96, 160),
        verification_images=IMAGES,
    )  # fmt: skip
    assert verified.passed and verified.largest_difference > 0
    run = exporter.openvino_runner(path)
    assert run.image_shape == (96, 160, 3)
    values = labels_in(path, "f32", IMAGES[0][None].astype("float32"))
    logits = np.asarray(streets(IMAGES[0][None]))
    if kind == "logits":
        np.testing.assert_allclose(values, logits, atol=1e-3)
    else:
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        np.testing.assert_allclose(values, powers / powers.sum(-1, keepdims=True), atol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_both_precisions_are_verified(make_tiny_model, tmp_path, monkeypatch, precision):
    monkeypatch.setattr(exporter, "cpu_precisions", lambda: ("float32", "bfloat16"))
    strict = verification.Tolerance(difference=0, probability=0, agreement=1, margin=0)
    monkeypatch.setitem(verification.TOLERANCES, precision, strict)
    model, path = make_tiny_model((64, 96)), tmp_path / "a.xml"
    with pytest.raises(VerificationError, match="probabilities differ.*openvino"):
        export_openvino(model, path, output_kind="probabilities", verification_images=IMAGES)
    assert list(tmp_path.iterdir()) == []


def test_mistakes(streets, exported, tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.xml.*streets\.onnx"):
        export_openvino(streets, tmp_path / "streets.onnx", verification_images=IMAGES)
    broken, alone = tmp_path / "broken.xml", tmp_path / "alone.xml"
    broken.write_text("<net>")
    with pytest.raises(ValueError, match=r"broken\.xml cannot be read by OpenVINO"):
        read_openvino_classes(broken)
    alone.write_bytes(exported[0].read_bytes())
    with pytest.raises(
        ValueError, match=r"alone\.xml cannot be read by OpenVINO: there is no .*alone\.bin"
    ):
        exporter.openvino_runner(alone)
    (tmp_path / "other.xml").write_text(exported[0].read_text().replace("eseg_keras", "other"))
    (tmp_path / "other.bin").write_bytes(exported[0].with_suffix(".bin").read_bytes())
    with pytest.raises(ValueError, match=r"other\.xml contains no classes"):
        read_openvino_classes(tmp_path / "other.xml")
