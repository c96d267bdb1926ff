"""`fit` on batches without tf.data, on every backend."""

import sys

import keras
import numpy as np
import pytest

from eseg_keras.data import Augmentation
from eseg_keras.data.batches import Batches


def read_example(index):
    rng = np.random.default_rng(index)
    return rng.integers(0, 256, (20, 30, 3), np.uint8), rng.integers(0, 3, (20, 30), np.uint8)


def make_model():
    keras.utils.set_random_seed(0)
    layers = [keras.Input((12, 16, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(3, 1)]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, weighted_metrics=["accuracy"])
    return model


@pytest.mark.parametrize("num_batches", [1, 2, 4])
def test_fit_trains_on_the_batches_in_their_order(num_batches):
    batches = Batches(
        read_example,
        4 * num_batches - 1,
        image_size=(12, 16),
        batch_size=4,
        augmentation=Augmentation(photometric_distortion=True),
        shuffle=True,
        class_weights=[1.0, 2.0, 3.0],
    )
    model, expected = make_model(), make_model()
    data = batches.to_py_dataset(initial_epoch=1, workers=3)
    val_data = Batches(read_example, 3, image_size=(12, 16), batch_size=2).to_py_dataset()
    model.fit(data, validation_data=val_data, initial_epoch=1, epochs=3, verbose=0, shuffle=False)
    model.fit(data, initial_epoch=3, epochs=4, verbose=0, shuffle=False)
    for epoch in (1, 2, 3):
        for batch in range(len(batches)):
            expected.train_on_batch(*batches.batch(epoch, batch))
    for weight, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-6, atol=1e-7)
    if keras.backend.backend() != "tensorflow":
        assert "tensorflow" not in sys.modules
