"""The training step, compiled by XLA as in `fit` on a GPU or TPU."""

import keras
import numpy as np
import pytest

from eseg_keras import ESeg
from eseg_keras.losses import OHEMCrossEntropy
from eseg_keras.metrics import SegmentationScores


@pytest.mark.slow
@pytest.mark.parametrize(
    "size, gradient_accumulation_steps", [((48, 64), 1), ((45, 61), 1), ((48, 64), 2)]
)
def test_xla_step_equals_the_plain_one(size, gradient_accumulation_steps):
    x = inputs = keras.Input((*size, 3))
    features = {}
    for level, stride in (("P3", 8), ("P4", 2)):
        x = features[level] = keras.layers.Conv2D(4, 3, strides=stride, padding="same")(x)
    model = ESeg(
        keras.Model(inputs, features), num_classes=3, min_level=3, max_level=4,
        decoder_channels=4, decoder_repeats=1, image_shape=(*size, 3),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, *size, 3)).astype("float32") / 64
    masks = rng.choice([0, 1, 2, 255], (2, *size)).astype("uint8")
    start, results = model.get_weights(), {}
    for compiled in (False, True):
        model.set_weights(start)
        # The paper's loss, weight decay and averages, and gradient clipping and accumulation: on a
        # TPU, XLA must compile all of them.
        model.compile(
            optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
            loss=OHEMCrossEntropy(),
            metrics=[SegmentationScores(3)],
            weight_decay=1e-3,
            ema_decay=0.9,
            global_clipnorm=1.0,
            gradient_accumulation_steps=gradient_accumulation_steps,
            jit_compile=compiled,
        )
        assert model.jit_compile == compiled
        logs = model.fit(images, masks, batch_size=2, epochs=3, shuffle=False, verbose=0).history
        scores = model.evaluate(images, masks, batch_size=2, verbose=0, return_dict=True)
        with model.averaged_weights():
            averages = model.get_weights()
        results[compiled] = logs, scores, model.get_weights(), averages
    (plain_logs, plain_scores, *plain), (logs, scores, *weights) = results[False], results[True]
    assert plain_logs.keys() == logs.keys() == {"loss", "mean_iou", "pixel_accuracy"}
    for name, values in plain_logs.items():
        np.testing.assert_allclose(logs[name], values, atol=1e-3, err_msg=name)
        np.testing.assert_allclose(scores[name], plain_scores[name], atol=1e-3, err_msg=name)
    for a, b in zip(plain[0] + plain[1], weights[0] + weights[1], strict=True):
        np.testing.assert_allclose(b, a, atol=1e-4)
