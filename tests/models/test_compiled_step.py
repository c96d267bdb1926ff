"""The whole step under XLA, which `fit` compiles with on a GPU or TPU."""

import keras
import numpy as np
import pytest

from eseg_keras import ESeg
from eseg_keras.losses import CrossEntropy
from eseg_keras.metrics import MeanIoU


@pytest.mark.parametrize("size", [(48, 64), (45, 61)])
def test_xla_step_equals_the_plain_one(size):
    x = inputs = keras.Input((*size, 3))
    features = {}
    for level, stride in (("P3", 8), ("P4", 2)):
        x = features[level] = keras.layers.Conv2D(4, 3, strides=stride, padding="same")(x)
    model = ESeg(
        keras.Model(inputs, features), num_classes=3, min_level=3, max_level=5,
        decoder_channels=4, decoder_repeats=1, image_shape=(*size, 3),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, *size, 3)).astype("float32") / 64
    masks = rng.choice([0, 1, 2, 255], (2, *size)).astype("uint8")
    start, results = model.get_weights(), {}
    for compiled in (False, True):
        model.set_weights(start)
        model.compile(
            optimizer=keras.optimizers.SGD(0.1), loss=CrossEntropy(), metrics=[MeanIoU(3)],
            jit_compile=compiled,
        )  # fmt: skip
        logs = model.fit(images, masks, batch_size=2, epochs=2, shuffle=False, verbose=0).history
        scores = model.evaluate(images, masks, batch_size=2, verbose=0, return_dict=True)
        results[compiled] = (logs["loss"], scores["mean_iou"], model.get_weights())
    for plain, xla in zip(results[False], results[True], strict=True):
        if isinstance(plain, list):
            for a, b in zip(plain, xla, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-4)
        else:
            np.testing.assert_allclose(plain, xla, atol=1e-2)
