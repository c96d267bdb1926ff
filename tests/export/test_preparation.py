"""Export of networks with a fixed size or with lower precision, in every single-file format."""

import json
import types

import keras
import numpy as np
import pytest

from eseg_keras import ESeg
from eseg_keras.export import (
    export_onnx,
    export_saved_model,
    export_tensorrt,
    export_tflite,
)
from eseg_keras.export.preparation import classes_json, in_float32
from eseg_keras.files import FileInUseError, locked
from eseg_keras.street_scenes import scene_images

pytest.importorskip("onnx")
pytest.importorskip("ai_edge_litert")

pytestmark = pytest.mark.usefixtures("module_eagerly")

EXPORTERS = [export_onnx, export_tensorrt, export_tflite]
IMAGES = scene_images("test", 3, (64, 96))


@pytest.fixture(autouse=True)
def no_tensorrt(monkeypatch):
    """Export the ONNX file only, without a TensorRT engine."""
    monkeypatch.setattr("eseg_keras.export.tensorrt.exporter.installed_tensorrt", lambda: None)


@pytest.mark.parametrize("export", [*EXPORTERS, export_saved_model])
def test_a_second_process_is_refused(export, tmp_path):
    output = tmp_path / "new" / "net"
    with locked(output.parent, "net"), pytest.raises(FileInUseError, match="new/net is in use by"):
        export(None, output, verification_images=IMAGES)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def fixed(make_tiny_model):
    """A network for images of 64x96; the biases of its classifier give labels a clear margin."""
    model = make_tiny_model((64, 96))
    model.head.get_layer("classifier").bias.assign([0.0, 1.0, 0.0])
    return model


@pytest.mark.parametrize("export", EXPORTERS)
def test_a_network_of_one_size(fixed, tmp_path, export):
    with pytest.raises(ValueError, match=r"built for images of \(64, 96\).*\(96, 64\)"):
        export(fixed, tmp_path / "net", verification_images=IMAGES, image_size=(96, 64))
    assert list(tmp_path.iterdir()) == []
    verification = export(fixed, tmp_path / "net", verification_images=IMAGES)
    assert verification.passed and set(verification.sizes) == {(64, 96)}


SMALL = {"min_level": 3, "max_level": 5, "decoder_channels": 8, "decoder_repeats": 1}
OPTIONS = {"num_classes": 3, **SMALL, "class_names": ("a", "b", "c"), "ignore_label": 7}


@pytest.fixture(scope="module")
def expected():
    """A float32 network; tests copy the weights of other networks to it."""
    return ESeg("fused_efficientnet_thin", **OPTIONS)


def test_a_network_of_float32_stays_as_it_is(expected):
    assert in_float32(expected) is expected


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
@pytest.mark.parametrize("own_encoder", [False, True])
def test_weights_of_any_policy_compute_in_float32(expected, policy, own_encoder):
    model = ESeg("fused_efficientnet_thin", **OPTIONS, dtype=policy)
    if own_encoder:
        model = ESeg(model.encoder, **OPTIONS, dtype=policy)
    for layer in model.decoder.layers + model.head.layers:
        layer.set_weights([weights + 0.01 for weights in layer.get_weights()])
    # Weights that were rounded to bfloat16 keep the rounded values in float32.
    expected.copy_weights(model)
    found = in_float32(model)
    (image,) = scene_images("test", 1, (64, 96))
    np.testing.assert_array_equal(
        found.predict_on_batch(image[None]), expected.predict_on_batch(image[None])
    )
    assert found.class_names == ("a", "b", "c") and found.ignore_label == 7
    assert {layer.compute_dtype for layer in found._flatten_layers()} == {"float32"}
    assert model.encoder.layers[-1].compute_dtype == policy.removeprefix("mixed_")


def test_a_network_inside_an_encoder_computes_in_float32():
    policy = "mixed_bfloat16"
    inner_images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 3, 4, "same", dtype=policy)(inner_images)
    inner = keras.Model(inner_images, {"P2": x})
    images = keras.Input((None, None, 3))
    own = keras.Model(images, inner(keras.layers.Rescaling(1 / 255, dtype=policy)(images)))
    options = {"num_classes": 3, "min_level": 2, "max_level": 3, "decoder_channels": 8}
    found = in_float32(ESeg(own, **options, dtype=policy))
    assert {layer.compute_dtype for layer in found._flatten_layers()} == {"float32"}


def test_averaged_weights_are_exported():
    model = ESeg("fused_efficientnet_thin", num_classes=2, **SMALL, dtype="mixed_bfloat16")
    images, masks = np.zeros((2, 64, 64, 3), "uint8"), np.ones((2, 64, 64), "uint8")
    model.compile(optimizer=keras.optimizers.SGD(1.0), ema_decay=0.5, run_eagerly=True)
    model.fit(images, masks, batch_size=1, verbose=0)
    found = in_float32(model).head.get_layer("classifier").bias
    bias = model.head.get_layer("classifier").bias
    assert np.abs(np.asarray(found) - np.asarray(bias)).max() > 0
    with model.averaged_weights():
        np.testing.assert_array_equal(found, bias)


@pytest.fixture(scope="module")
def mixed(make_tiny_model):
    return make_tiny_model(dtype="mixed_bfloat16")


@pytest.mark.parametrize("export", [*EXPORTERS, export_saved_model])
def test_a_network_of_mixed_precision(mixed, tmp_path, export):
    options = {"output_kind": "logits", "image_size": (64, 96)}
    verification = export(mixed, tmp_path / "net", verification_images=IMAGES, **options)
    # This is far below the relative precision of bfloat16, which is 1/256.
    assert verification.relative_difference < 1e-5


def test_classes():
    names = ("a", "b")
    model = types.SimpleNamespace(num_classes=2, class_names=names, palette=None, ignore_label=255)
    assert json.loads(classes_json(model)) == {
        "num_classes": 2,
        "class_names": ["a", "b"],
        "palette": None,
        "ignore_label": 255,
    }
