"""Images to calibrate quantized networks and to verify exported files."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from eseg_keras.data.images.image_reader import ImageFileError, read_image
from eseg_keras.data.images.walker import find_images
from eseg_keras.image_size import SMALLEST_SIDE, check_image_size

# A few dozen images determine the ranges; more take time and change little.
MOST_IMAGES = 64


def read_calibration_images(
    folder: str | os.PathLike,
    image_range: tuple[float, float] | None = None,
    first_frame: bool = False,
) -> list[np.ndarray]:
    """Read at most 64 images, evenly spaced in the sorted list, of a folder and its subfolders."""
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
            f"is {image.shape[0]}x{image.shape[1]} pixels, height by width; images to calibrate "
            f"with need at least {SMALLEST_SIDE}x{SMALLEST_SIDE}. Scale it up or remove it"
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
    """Return images for calibration and verification, resized to one size or to `sizes` in turn.

    By default, one in four of the calibration images, at most three, is held out for verification.
    """
    if precision != "int8" and calibration is not None:
        raise ValueError(
            f"calibration_images are only for precision='int8'. Received: {precision!r}"
        )
    if precision == "int8" and (calibration is None or len(calibration) == 0):
        raise ValueError(
            "precision='int8' needs calibration_images for the ranges of its values: a few dozen "
            f"uint8 arrays [H, W, {channels}] of the network's task. "
            f"Received: {calibration!r}"
        )
    images = [] if calibration is None else calibration
    images = [_resized(_checked(image, channels, "calibration"), size) for image in images]
    if verification is not None or not images:
        sizes = [size] if size else sizes
        return images, resize_verification_images(verification, sizes, channels)
    if len(images) < 4:
        raise ValueError(
            "Expected at least 4 calibration images, of which one in four is held out for the "
            f"verification, or verification_images. Received: {len(images)} calibration images"
        )
    held_out = range(0, len(images), max(4, -(-len(images) // 3)))
    rest = [image for index, image in enumerate(images) if index not in held_out]
    return rest, [images[index] for index in held_out]


def resize_verification_images(
    images: Sequence[np.ndarray] | None, sizes: Sequence[tuple[int, int]], channels: int
) -> list[np.ndarray]:
    """Resize images to the sizes in turn; repeat them if there are fewer images than sizes."""
    if images is None or len(images) == 0:
        raise ValueError(
            "The exported file is compared with the network on verification_images. Expected "
            f"uint8 arrays [H, W, {channels}], a few images of the network's task that it was not "
            f"trained on. Received: {images!r}"
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
