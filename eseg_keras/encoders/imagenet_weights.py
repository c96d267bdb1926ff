"""ImageNet files of keras.applications: finding, fetching and reading them."""

import os
import pathlib
import socket

import keras

from eseg_keras.encoders.applications import EncoderSpec

# A proxy that takes the connection and never answers would otherwise hold a download for ever.
SECONDS_WITHOUT_ANSWER = 10


def imagenet_file(name: str, spec: EncoderSpec) -> pathlib.Path:
    """Return the path of an encoder's ImageNet file, downloaded by Keras if it is not cached.

    A file that is there is taken as it is: Keras itself would delete one whose hash it does not
    know.

    Args:
        name: Name of the encoder, for the message.
        spec: Its row in the table.

    Returns:
        Path of the file in Keras' cache.

    Raises:
        FileNotFoundError: If the file is not cached and cannot be downloaded.
    """
    # Keras fixes its home when it is imported and has no public name for it.
    home = pathlib.Path(keras.src.backend.config.keras_home()).expanduser()
    path = home / "models" / spec.weights_file
    if path.exists():
        return path
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS_WITHOUT_ANSWER)
    try:
        # The application knows the address and the hash; its download fails at once offline.
        getattr(keras.applications, spec.application)(
            include_top=False, weights="imagenet", input_shape=(None, None, 3)
        )
        # Keras turns to another folder where its home cannot be written. It finds its file by
        # name, so the address is not used.
        return pathlib.Path(
            keras.utils.get_file(spec.weights_file, "file:///", cache_subdir="models")
        )
    except Exception as error:
        raise FileNotFoundError(
            f"The ImageNet weights of {name!r} are not on this machine and could not be "
            f"downloaded ({_first_line(error)}). Expected the file {spec.weights_file} at "
            f"{path}: put it there, or build without it: from_preset(..., load_weights=False) or "
            "encoder_weights=None."
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)


def read_application_weights(application: keras.Model, path: str | os.PathLike):
    """Load a file in the layout of keras.applications' `*_notop.h5` into an application.

    Args:
        application: The network, built by keras.applications without its classifier.
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, corrupted or of another network.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no weights file at {path}.")
    try:
        application.load_weights(path)
    except Exception as error:
        raise ValueError(
            f"{path} does not hold the weights of {application.name} without its classifier "
            f"({_first_line(error)}). It may be truncated or of another network: delete it and "
            "download it again, or build without it: load_weights=False or encoder_weights=None."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
