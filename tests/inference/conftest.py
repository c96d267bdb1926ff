import keras
import numpy as np
import pytest
from keras import ops

from eseg_keras import ESeg
from eseg_keras.street_scenes import CLASS_NAMES, PALETTE


@keras.saving.register_keras_serializable(package="tests")
class PixelLogits(keras.layers.Layer):
    """Compute the logits of a pixel from its colour only."""

    def call(self, images):
        images = ops.cast(images, "float32")
        red, green, blue = (images[..., channel] for channel in range(3))
        return ops.stack([red, green, blue, (red + green) * 0.55], axis=-1) / 16


@pytest.fixture(scope="session")
def pixelwise():
    """A network whose output at a pixel depends on that pixel only."""
    images = keras.Input((None, None, 3))
    model = keras.Model(images, PixelLogits()(images))
    model.autocast = False
    return model


@pytest.fixture(scope="session")
def pixel_logits():
    """A NumPy function that computes the logits of `pixelwise`."""

    def logits(image):
        red, green, blue = np.moveaxis(image.astype("float32"), -1, 0)
        return np.stack([red, green, blue, (red + green) * np.float32(0.55)], axis=-1) / 16

    return logits


@pytest.fixture(scope="session")
def network():
    """A small network with class names and palette, whose output depends on neighbouring pixels."""
    images = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 2, -60)(images)
    for filters, seed, activation in ((8, 1, "relu"), (len(CLASS_NAMES), 2, None)):
        kernel = keras.initializers.GlorotUniform(seed)
        x = keras.layers.Conv2D(
            filters, 5, padding="same", activation=activation, kernel_initializer=kernel
        )(x)
    model = keras.Model(images, x)
    model.class_names, model.palette = CLASS_NAMES, PALETTE
    return model


@pytest.fixture(scope="module")
def streets():
    return ESeg.from_preset("eseg_lite_s_streets")


@pytest.fixture(scope="session")
def noise():
    """Function (height, width, seed) -> random image."""

    def make(height, width, seed=0):
        return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype="uint8")

    return make
