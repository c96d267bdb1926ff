"""Networks of keras.applications and their weights files."""

import os
import pathlib
import socket
import warnings

import h5py
import keras

from eseg_keras.encoders.applications import EncoderSpec

# Timeout of a download: a proxy that accepts the connection but never answers would block forever.
SECONDS_WITHOUT_ANSWER = 10


def imagenet_application(name: str, spec: EncoderSpec) -> keras.Model:
    """Build a network of keras.applications with its ImageNet weights.

    Keras downloads the file into its cache, and downloads it again if its hash is not the published
    one. A file that Keras refuses or cannot read is removed, so that the next call downloads it
    again.

    Args:
        name: Name of the encoder, for the error message.
        spec: Entry of the encoder in `APPLICATIONS`.

    Returns:
        The network without its classifier, for images of any size.

    Raises:
        FileNotFoundError: If the published file is not cached and cannot be downloaded.
    """
    # Keras sets its home directory on import and has no public function that returns it.
    home = pathlib.Path(keras.src.backend.config.keras_home()).expanduser()
    path = home / "models" / spec.weights_file
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS_WITHOUT_ANSWER)
    try:
        return build_application(spec, (None, None, 3), weights="imagenet")
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


def build_application(spec: EncoderSpec, image_shape: tuple, weights=None) -> keras.Model:
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


def read_application_weights(application: keras.Model, path: str | os.PathLike):
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
