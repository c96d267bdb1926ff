import keras
import numpy as np
import pytest
from keras.src.applications.efficientnet import EfficientNet

from eseg_keras import ESeg
from eseg_keras.encoders.application_encoder import _as_encoder
from eseg_keras.encoders.applications import APPLICATIONS
from eseg_keras.encoders.builder import build_encoder
from eseg_keras.encoders.fused import FUSED_EFFICIENTNETS, fused_efficientnet
from eseg_keras.encoders.lite import EFFICIENTNET_LITES
from eseg_keras.presets.catalog import ARCHITECTURES
from eseg_keras.street_scenes import render_scene

ANY_SIZE = (None, None, 3)


@pytest.fixture(scope="session")
def streets():
    """The network trained on street scenes, whose labels are meaningful."""
    return ESeg.from_preset("eseg_lite_s_streets")


def _tiny_model(size=(None, None), dtype=None, **arguments):
    images = keras.Input((*size, 3))
    options = {"padding": "same", "dtype": dtype}
    x = keras.layers.Conv2D(8, 4, strides=4, **options)(images)
    encoder = keras.Model(images, {2: x, 3: keras.layers.AveragePooling2D(2, **options)(x)})
    options = {"image_shape": (*size, 3), "dtype": dtype, **arguments}
    return ESeg(encoder, num_classes=3, max_level=3, decoder_channels=8, **options)


@pytest.fixture(scope="session")
def make_tiny_model():
    """Function (image size, dtype, ...) -> network with three classes and random weights."""
    return _tiny_model


@pytest.fixture
def tiny_model():
    """A network with three classes and random weights that is quick to build."""
    return _tiny_model()


@pytest.fixture(scope="session")
def small_model():
    """Function (preset) -> small untrained network with all kinds of layers of the preset.

    Networks have five classes, fewer repeats and fewer channels. Batch normalisation has the
    statistics of a few street scenes, without which the values of deep networks would vanish.
    EfficientNet-Lite encoders are an exception: they have their full size, and ImageNet weights and
    statistics.
    """
    models = {}

    def make(preset):
        if preset not in models:
            models[preset] = _thin(preset)
        return models[preset]

    return make


def _thin(preset):
    keras.utils.set_random_seed(0)
    spec = ARCHITECTURES[preset]
    channels = 8 * round(spec.decoder_channels / 32)
    model = ESeg.from_preset(
        preset,
        num_classes=5,
        load_weights=False,
        encoder=_thin_encoder(spec.encoder),
        decoder_channels=channels,
        decoder_repeats=min(spec.decoder_repeats, 2),
        max_level=7,
    )
    # Scenes with random colour gains: the small variances of similar images would amplify rounding
    # differences.
    images = np.stack([render_scene(index, "train", (128, 192))[0] for index in range(8)])
    gains = np.random.default_rng(0).uniform(0, 2, (8, 1, 1, 3))
    images = np.clip(images * gains, 0, 255).astype("float32")
    norms = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if spec.encoder in EFFICIENTNET_LITES:
        norms = [norm for norm in norms if norm not in model.encoder.layers]
    for norm in norms:
        norm.momentum = 0.0
        if norm.name.endswith("project_bn"):
            # Scale down the residual branches: with random weights, every block would amplify
            # rounding differences.
            norm.gamma.assign(norm.gamma * 0.25)
    model(images, training=True)
    return model


def _thin_encoder(name):
    if name in FUSED_EFFICIENTNETS:
        width, depth = FUSED_EFFICIENTNETS[name]
        return fused_efficientnet(width / 2, depth, ANY_SIZE)
    if name in EFFICIENTNET_LITES:
        # Trained weights, because small random encoders amplify rounding differences a
        # hundredfold.
        return build_encoder(name, ANY_SIZE, "imagenet")
    # Larger EfficientNets differ from B0 in the numbers of blocks and filters only.
    application = EfficientNet(
        width_coefficient=0.25,
        depth_coefficient=1.0,
        drop_connect_rate=0.0,
        default_size=224,
        include_top=False,
        weights=None,
        input_shape=ANY_SIZE,
        name=name,
    )
    return _as_encoder(application, APPLICATIONS["efficientnet_b0"], ANY_SIZE)
