"""Encoders from the networks of keras.applications, and their weights files."""

import os
import pathlib
import socket
import warnings

import h5py
import keras
from keras import layers

from eseg_keras.encoders.applications import APPLICATIONS, EncoderSpec
from eseg_keras.layers import BatchNormalization, ImageScaling
from eseg_keras.layers.image_scaling import for_channels

LEVELS = ("P2", "P3", "P4", "P5")

# Number of seconds without an answer after which a download fails. Without this limit, a proxy that
# accepts the connection but never answers would block the download forever.
SECONDS_WITHOUT_ANSWER = 10


def application_encoder(
    name: str, image_shape: tuple[int | None, int | None, int], weights: str | None
) -> keras.Model:
    """Build an encoder from a network of keras.applications; see `build_encoder`."""
    if weights is not None:
        check_rgb(image_shape, weights)
    spec = APPLICATIONS[name]
    if weights == "imagenet":
        application = imagenet_application(name, spec)
    else:
        application = _build_application(spec, image_shape)
    encoder = _as_encoder(application, spec, image_shape)
    if weights is not None and str(weights).endswith(".weights.h5"):
        encoder.load_weights(weights)
    elif weights is not None:
        if weights != "imagenet":
            _read_application_weights(application, weights)
        for layer in encoder.layers:
            if layer.weights:
                layer.set_weights(application.get_layer(layer.name).get_weights())
    return encoder


def check_rgb(image_shape: tuple, weights: str) -> None:
    """Raise ValueError unless images for pretrained weights have 3 channels."""
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


def imagenet_application(name: str, spec: EncoderSpec) -> keras.Model:
    """Build a network of keras.applications, without classifier, with its ImageNet weights.

    Keras downloads the file into its cache, and downloads it again if the hash of the cached file
    is not the published one. Raise FileNotFoundError if the file is not cached and cannot be
    downloaded, or if Keras refuses or cannot read it; it is then removed, so that the next call
    downloads it again.
    """
    # Keras sets its home directory on import and has no public function that returns it.
    home = pathlib.Path(keras.src.backend.config.keras_home()).expanduser()
    path = home / "models" / spec.weights_file
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS_WITHOUT_ANSWER)
    try:
        return _build_application(spec, (None, None, 3), weights="imagenet")
    except Exception as error:
        if isinstance(error, OSError | ValueError):
            # The hash is wrong, or the file is truncated and Keras has no hash to check it by.
            path.unlink(missing_ok=True)
        raise FileNotFoundError(
            f"The ImageNet weights of {name!r} are not on this machine and could not be "
            f"downloaded ({_first_line(error)}). Expected the published {spec.weights_file} at "
            f"{path}. For a file of your own, pass its path: encoder_weights=PATH. To build "
            "without weights: from_preset(..., load_weights=False) or encoder_weights=None."
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)


def _build_application(spec: EncoderSpec, image_shape: tuple, weights=None) -> keras.Model:
    """Build a network of keras.applications without classifier, and without preprocessing layers.

    If the constructor has no `include_preprocessing`, the preprocessing layers remain.
    """
    arguments = {"include_preprocessing": False} if spec.has_preprocessing_argument else {}
    constructor = getattr(keras.applications, spec.application)
    with warnings.catch_warnings():
        # MobileNets warn about sizes other than 224x224, but their weights fit every size.
        warnings.filterwarnings("ignore", "`input_shape` is undefined or non-square")
        return constructor(
            include_top=False, weights=weights, input_shape=tuple(image_shape), **arguments
        )


def _read_application_weights(application: keras.Model, path: str | os.PathLike):
    """Load weights in the layout of the `*_notop.h5` files into a network of keras.applications."""
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no weights file at {path}.")
    if _is_keras_3_file(path):
        raise ValueError(
            f"{path} was written by Keras 3's save_weights and does not have the layout of "
            "keras.applications. If it was saved from an encoder, rename it to "
            f"{path.stem}.weights.h5 and pass that path."
        )
    try:
        application.load_weights(path)
    except Exception as error:
        raise ValueError(
            f"{path} does not contain the weights of {application.name} without classifier "
            f"({_first_line(error)}). It may be truncated or of another network: delete it and "
            "download it again, or build without it: load_weights=False or encoder_weights=None."
        ) from error


def _is_keras_3_file(path):
    """Return whether a file has the layout of Keras 3: a group `layers`, no `layer_names`."""
    try:
        with h5py.File(path) as file:
            return "layer_names" not in file.attrs and "layers" in file
    except OSError:
        return False


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
