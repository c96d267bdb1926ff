"""Common first steps of the exporters: check arguments, prepare the model and the images."""

import functools
import json
import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

import keras
import numpy as np
from PIL import Image

from eseg_keras.data.images.image_reader import ImageFileError, read_image
from eseg_keras.data.images.walker import find_images
from eseg_keras.files import locked
from eseg_keras.image_size import SMALLEST_SIDE, check_image_size
from eseg_keras.optional import require

# Limit of the number of calibration images: more images take time and hardly change the ranges.
MOST_IMAGES = 64
# Sizes of the verification images for files that take images of any size: a size that the encoder's
# strides divide and an odd size, twice each.
VERIFIED_SIZES = ((192, 384), (97, 131)) * 2

Exporter = TypeVar("Exporter", bound=Callable)


def one_writer(export: Exporter) -> Exporter:
    """Decorator: an exporter raises `FileInUseError` if another process writes its output."""

    @functools.wraps(export)
    def call(model, output, **options):
        output = Path(output).resolve()
        with locked(output.parent, output.name):
            return export(model, output, **options)

    return call


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raise `ValueError` unless the value of the argument `name` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}. Received: {value!r}")


def require_tensorflow(kind: str):
    """Import and return TensorFlow; raise `ValueError` if Keras uses another backend."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"The export to {kind} needs the Keras backend 'tensorflow'. Received: "
            f"{keras.backend.backend()!r}. Set the environment variable KERAS_BACKEND=tensorflow."
        )
    return require("tensorflow", "tensorflow-cpu")


def in_float32(model: keras.Model) -> keras.Model:
    """Return `model` if its dtype policy is float32, else a float32 copy with averaged weights."""
    if model.dtype_policy.name == "float32":
        return model
    config = model.get_config() | {"dtype": "float32"}
    if model.encoder_name is None:
        config["encoder"] = keras.models.clone_model(
            model.encoder,
            clone_function=lambda layer: type(layer).from_config(
                layer.get_config() | {"dtype": "float32"}
            ),
            recursive=True,
        )
    copy = type(model).from_config(config)
    copy.copy_weights(model)
    return copy


def exported_size(model: keras.Model, image_size: tuple[int, int] | None) -> tuple[int, int] | None:
    """Check `image_size`; return the fixed (height, width) of the images, `None` for any size."""
    built = tuple(model.image_shape[:2])
    if None not in built:
        if image_size is not None and tuple(image_size) != built:
            raise ValueError(
                f"The network is built for images of {built}. Received: image_size={image_size}. "
                "Omit image_size."
            )
        return built
    if image_size is None:
        return None
    check_image_size("image_size", image_size)
    return tuple(image_size)


def classes_json(model: keras.Model) -> str:
    """Return the number, names, palette and ignore label of a model's classes as JSON."""
    fields = ("num_classes", "class_names", "palette", "ignore_label")
    return json.dumps({field: getattr(model, field) for field in fields}, indent=2) + "\n"


def read_calibration_images(
    folder: str | os.PathLike,
    image_range: tuple[float, float] | None = None,
    first_frame: bool = False,
) -> list[np.ndarray]:
    """Read up to 64 images of a folder and its subfolders, evenly spaced in sorted order."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}.")
    try:
        images = find_images(folder, first_frame=first_frame)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}.") from error
    if len(images) > MOST_IMAGES:
        images = [images[i * len(images) // MOST_IMAGES] for i in range(MOST_IMAGES)]
    return [_read(path, image_range, first_frame) for path in images]


def _read(path, image_range, first_frame):
    image = read_image(path, image_range=image_range, first_frame=first_frame)
    if min(image.shape[:2]) < SMALLEST_SIDE:
        problem = (
            f"is {image.shape[0]}x{image.shape[1]} pixels, height by width. Calibration images "
            f"need at least {SMALLEST_SIDE}x{SMALLEST_SIDE}: enlarge the image or remove it"
        )
        raise ImageFileError(path, [problem])
    return image


def prepare_images(
    calibration: Sequence[np.ndarray] | None,
    verification: Sequence[np.ndarray] | None,
    precision: str,
    size: tuple[int, int] | None,
    sizes: Sequence[tuple[int, int]],
    channels: int,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the images for calibration and the images for verification.

    All images are resized to `size`. If `size` is `None`, only the images of `verification` are
    resized, to the sizes of `sizes` in turn. If `verification` is `None`, about a quarter of
    `calibration`, at most three images, is held out for verification.
    """
    if precision != "int8" and calibration is not None:
        raise ValueError(
            f"calibration_images are only for precision='int8'. Received: precision={precision!r}"
        )
    if precision == "int8" and (calibration is None or len(calibration) == 0):
        raise ValueError(
            "precision='int8' needs calibration_images to determine the ranges of activations: a "
            f"few dozen uint8 arrays [H, W, {channels}] that resemble the training images. "
            f"Received: {calibration!r}"
        )
    images = [] if calibration is None else calibration
    images = [_resized(_checked(image, channels, "calibration"), size) for image in images]
    if verification is not None or not images:
        sizes = [size] if size else sizes
        return images, resize_verification_images(verification, sizes, channels)
    if len(images) < 4:
        raise ValueError(
            "Expected verification_images, or at least 4 calibration_images, of which a quarter "
            f"are held out for verification. Received: {len(images)} calibration images"
        )
    held_out = range(0, len(images), max(4, -(-len(images) // 3)))
    rest = [image for index, image in enumerate(images) if index not in held_out]
    return rest, [images[index] for index in held_out]


def resize_verification_images(
    images: Sequence[np.ndarray] | None, sizes: Sequence[tuple[int, int]], channels: int
) -> list[np.ndarray]:
    """Resize each image to the next of `sizes`; repeat images if there are more sizes."""
    if images is None or len(images) == 0:
        raise ValueError(
            "verification_images are needed to compare the exported file with the network. "
            f"Expected a few uint8 arrays [H, W, {channels}] that resemble the training images "
            f"but were not used for training. Received: {images!r}"
        )
    images = [_checked(image, channels, "verification") for image in images]
    count = max(len(images), len(sizes))
    return [_resized(images[i % len(images)], sizes[i % len(sizes)]) for i in range(count)]


def _checked(image, channels, kind):
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != channels:
        raise ValueError(
            f"Expected {kind} images of uint8 [H, W, {channels}]. Received: {image.dtype} "
            f"of shape {image.shape}"
        )
    check_image_size(f"The size of {kind} images", image.shape[:2])
    return image


def _resized(image, size):
    if size is None or image.shape[:2] == tuple(size):
        return image
    bands = [Image.fromarray(band) for band in np.moveaxis(image, -1, 0)]
    bands = [band.resize(size[::-1], Image.Resampling.BILINEAR) for band in bands]
    return np.stack([np.asarray(band) for band in bands], axis=-1)
