"""Pretraining of encoders: size, training, and loading into ESeg."""

import keras
import numpy as np
import pytest

from eseg_keras.encoders import build_encoder
from eseg_keras.models.classifier import Classifier, LabelCrossEntropy

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3)).astype("uint8")


def fused_efficientnet_params(width, depth, num_classes):
    """Return the trainable parameters, computed from the table of EfficientNet-B0."""

    def filters(count):
        rounded = max(8, int(count * width + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * count * width else rounded

    def conv_bn(kernel, inputs, outputs):
        return kernel**2 * inputs * outputs + 2 * outputs

    params, inputs = conv_bn(3, 3, filters(32)), filters(32)
    for kernel, expansion, repeats, outputs in (
        (3, 1, 1, 16), (3, 6, 2, 24), (5, 6, 2, 40), (3, 6, 3, 80), (5, 6, 3, 112), (5, 6, 4, 192),
        (3, 6, 1, 320),
    ):  # fmt: skip
        for _ in range(int(np.ceil(repeats * depth))):
            outputs_here = filters(outputs)
            if expansion == 1:
                params += conv_bn(kernel, inputs, outputs_here)
            else:
                params += conv_bn(kernel, inputs, expansion * inputs)
                params += conv_bn(1, expansion * inputs, outputs_here)
            inputs = outputs_here
    return params + conv_bn(1, inputs, 1280) + 1280 * num_classes + num_classes


@pytest.mark.parametrize(("size", "scale"), [("s", (0.4, 0.6)), ("m", (0.6, 1)), ("l", (1, 1))])
def test_parameters(size, scale):
    model = Classifier(f"fused_efficientnet_{size}")
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert trainable == fused_efficientnet_params(*scale, 1000)


def test_learns_and_gives_its_encoder_to_eseg(tmp_path, small_eseg):
    keras.utils.set_random_seed(0)
    labels = np.arange(8) % 2
    noise = np.random.default_rng(0).integers(0, 40, (8, 64, 64, 3))
    images = (noise + 180 * labels[:, None, None, None]).astype("uint8")
    model = Classifier("fused_efficientnet_thin", num_classes=2, dropout=0.0)
    model.compile(keras.optimizers.Adam(0.001), ema_decay=0.9998)
    logs = model.fit(images, labels, batch_size=8, epochs=12, verbose=0).history
    # With label smoothing, the smallest possible loss is 0.199.
    assert logs["loss"][-1] < 0.5 * logs["loss"][0] and logs["accuracy"][-1] == 1.0

    path = str(tmp_path / "encoder.weights.h5")
    before = model.get_weights()
    model.save_encoder_weights(path)
    for value, again in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(again, value)
    with model.averaged_weights():
        expected = model.encoder(IMAGES)
    trained = model.encoder(IMAGES)
    assert np.abs(np.asarray(trained["P5"]) - expected["P5"]).max() > 1e-6
    segmenter = small_eseg(encoder_weights=path)
    for encoder in (segmenter.encoder, build_encoder("fused_efficientnet_thin", weights=path)):
        features = encoder(IMAGES)
        for level in ("P2", "P3", "P4", "P5"):
            np.testing.assert_array_equal(features[level], expected[level])


@pytest.mark.parametrize("encoder", ["fused_efficientnet_thin", "model"])
def test_saves_and_loads(tmp_path, encoder):
    if encoder == "model":
        x = inputs = keras.Input((64, 64, 3))
        features = {}
        for level in ("P2", "P3"):
            x = features[level] = keras.layers.Conv2D(4, 3, strides=4, padding="same")(x)
        encoder = keras.Model(inputs, features)
    model = Classifier(
        encoder, num_classes=7, channels=24, activation="silu", dropout=0.5,
        image_shape=(64, 64, 3), dtype="mixed_bfloat16",
    )  # fmt: skip
    model.compile("sgd", ema_decay=0.9)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    logits = again.predict_on_batch(IMAGES)
    assert logits.shape == (4, 7) and logits.dtype == np.float32
    np.testing.assert_array_equal(logits, model.predict_on_batch(IMAGES))
    settings, expected = ({**m.get_config(), "encoder": m.encoder_name} for m in (again, model))
    assert settings == expected
    assert again.get_layer("dropout").rate == 0.5
    assert again.get_layer("top_activation").activation is keras.activations.silu
    assert isinstance(again.loss, LabelCrossEntropy) and again.loss.label_smoothing == 0.1
    assert {m.name for m in again._compile_metrics._user_metrics} == {"accuracy", "top5_accuracy"}


def test_floats_are_what_uint8_is():
    model = Classifier("fused_efficientnet_thin", num_classes=3)
    np.testing.assert_array_equal(
        model.predict_on_batch(IMAGES), model.predict_on_batch(IMAGES.astype("float32"))
    )


def test_floats_keep_their_precision_under_mixed_precision():
    model = Classifier("fused_efficientnet_thin", num_classes=3, dtype="mixed_bfloat16")
    images = (128 + IMAGES // 2).astype("float32")
    # bfloat16 has no value between 200 and 201.
    difference = model.predict_on_batch(images) - model.predict_on_batch(images + np.float32(0.3))
    assert np.abs(difference).max() > 0


def test_loss_equals_numpy():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(5, 4)).astype("float32"), np.array([0, 3, 1, 1, 2])
    targets = 0.9 * np.eye(4)[labels] + 0.1 / 4
    log = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = -(targets * log).sum(-1).mean()
    for shape in ((5,), (5, 1)):
        loss = LabelCrossEntropy(label_smoothing=0.1)(labels.reshape(shape), logits)
        np.testing.assert_allclose(float(loss), expected, rtol=1e-5)


def test_weights_of_a_model_are_its_own():
    encoder = build_encoder("fused_efficientnet_thin")
    with pytest.raises(ValueError, match="encoder_weights='imagenet'"):
        Classifier(encoder, encoder_weights="imagenet")
