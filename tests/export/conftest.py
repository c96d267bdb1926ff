import keras
import numpy as np
import pytest
from keras.src.applications.efficientnet import EfficientNet

from eseg_keras import ESeg
from eseg_keras.encoders.applications import APPLICATIONS
from eseg_keras.encoders.builder import _as_encoder, build_encoder
from eseg_keras.encoders.fused import FUSED_EFFICIENTNETS, fused_efficientnet
from eseg_keras.encoders.lite import EFFICIENTNET_LITES
from eseg_keras.presets.catalog import ARCHITECTURES
from eseg_keras.street_scenes import render_scene

ANY_SIZE = (None, None, 3)


@pytest.fixture(scope="session")
def streets():
    """The trained network of the street scenes: labels that mean something."""
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
    """Make a network of three classes and random weights: (image size, dtype, ...) -> ESeg."""
    return _tiny_model


@pytest.fixture
def tiny_model():
    """A network of three classes and random weights that is quick to build."""
    return _tiny_model()


@pytest.fixture(scope="session")
def small_model():
    """Make any preset with all its kinds of layers, but few and thin ones, and untrained.

    Presets of one kind of encoder differ in depth and width: the deepest of each kind stands for
    the others. `small_model("eseg_m")` has five classes; every batch normalisation has the
    statistics of a few street scenes, without which the values of deep networks fade to nothing.
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
    # Scenes in all colours: were they alike, the statistics would blow their differences up.
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
            # Blocks that change little: deep networks of random weights multiply rounding
            # differences by every block.
            norm.gamma.assign(norm.gamma * 0.25)
    model(images, training=True)
    return model


def _thin_encoder(name):
    if name in FUSED_EFFICIENTNETS:
        width, depth = FUSED_EFFICIENTNETS[name]
        return fused_efficientnet(width / 2, depth, ANY_SIZE)
    if name in EFFICIENTNET_LITES:
        # Thin ones of random weights multiply rounding differences a hundredfold; trained weights
        # are available.
        return build_encoder(name, ANY_SIZE, "imagenet")
    # The larger EfficientNets differ from B0 in the number of blocks and filters.
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
