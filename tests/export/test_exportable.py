"""Networks of one size, and of less than float32, in every format that is one file."""

import pytest

from eseg_keras import ESeg
from eseg_keras.export import export_onnx, export_tensorrt, export_tflite

pytest.importorskip("onnx")
pytest.importorskip("ai_edge_litert")

EXPORTERS = [export_onnx, export_tensorrt, export_tflite]


@pytest.fixture(scope="module")
def fixed():
    """A network for images of 64x96; the offsets of its classifier make labels clear."""
    model = ESeg("fused_efficientnet_s", num_classes=2, min_level=3, image_shape=(64, 96, 3))
    model.head.get_layer("classifier").bias.assign([0.0, 1.0])
    return model


@pytest.mark.parametrize("export", EXPORTERS)
def test_a_network_of_one_size(fixed, tmp_path, export):
    with pytest.raises(ValueError, match=r"built for images of \(64, 96\).*\(96, 64\)"):
        export(fixed, tmp_path / "net", input_size=(96, 64))
    assert list(tmp_path.iterdir()) == []
    verification = export(fixed, tmp_path / "net")
    assert verification.passed and set(verification.sizes) == {(64, 96)}


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("export", EXPORTERS)
def test_a_network_of_mixed_precision(tmp_path, export, policy):
    mixed = ESeg("fused_efficientnet_s", num_classes=2, min_level=3, dtype=policy)
    with pytest.raises(ValueError, match=f"save_to_preset.*{policy}"):
        export(mixed, tmp_path / "net")
    assert list(tmp_path.iterdir()) == []
