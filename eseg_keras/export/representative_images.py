"""Images by which a quantised network learns the range of its values."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from eseg_keras.data.images.image_reader import read_image
from eseg_keras.data.images.walker import find_images
from eseg_keras.export.exportable import SMALLEST_SIDE
from eseg_keras.street_scenes import render_scene

# Ranges settle within tens of images: more cost time and change little.
MOST_IMAGES = 64
_STREET_IMAGES = 24
_STREET_SIZE = (192, 384)

_log = logging.getLogger("eseg_keras")


def read_representative_images(folder: str | os.PathLike) -> list[np.ndarray]:
    """Read photos of the network's task from a folder and those below.

    Args:
        folder: Folder of JPEG, PNG, BMP or WebP files. Of more than 64, 64 are taken from all over
            the sorted list.

    Returns:
        List of uint8 arrays [H, W, 3].

    Raises:
        ValueError: If there is no such folder, or no image inside.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}.")
    try:
        photos = find_images(folder)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}.") from error
    if len(photos) > MOST_IMAGES:
        photos = [photos[i * len(photos) // MOST_IMAGES] for i in range(MOST_IMAGES)]
    return [read_image(path) for path in photos]


def split_representative_images(
    images: Sequence[np.ndarray] | None,
    precision: str,
    size: tuple[int, int] | None,
    channels: int,
) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
    """Prepare images for the quantisation, and hold some of them out for the comparison.

    Args:
        images: uint8 arrays [H, W, channels] of any sizes, four or more: a quarter of them, three
            at most, is held out. `None` for street scenes.
        precision: Other than `"int8"` needs no images.
        size: (height, width) that they are resized to, or `None` to leave them as they are.
        channels: Number of channels of the network.

    Returns:
        The images for the quantisation and those held out, `None` for street scenes: those have a
        split of their own.

    Raises:
        ValueError: If there are images for another precision, too few, or one is no image of the
            network's channels and of 32 pixels a side or more.
    """
    if precision != "int8":
        if images is not None:
            raise ValueError(
                "representative_images are for precision='int8' alone. Received: "
                f"precision={precision!r}"
            )
        return [], None
    if images is None:
        _log.warning(
            "8-bit ranges are taken from street scenes, which are drawn. Photos of the network's "
            "task give better labels: pass representative_images."
        )
        scenes = [render_scene(i, "train", size or _STREET_SIZE)[0] for i in range(_STREET_IMAGES)]
        return [scene[..., np.arange(channels) % 3] for scene in scenes], None
    images = [_checked(image, size, channels) for image in images]
    if len(images) < 4:
        raise ValueError(
            "Expected at least 4 representative images: one in four is held out to compare on. "
            f"Received: {len(images)}"
        )
    held_out = range(0, len(images), max(4, -(-len(images) // 3)))
    rest = [image for index, image in enumerate(images) if index not in held_out]
    return rest, [images[index] for index in held_out]


def _checked(image, size, channels):
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != channels:
        raise ValueError(
            f"Expected representative images of uint8 [H, W, {channels}]. Received: {image.dtype} "
            f"of shape {image.shape}"
        )
    if min(image.shape[:2]) < SMALLEST_SIDE:
        raise ValueError(
            f"Representative images must have {SMALLEST_SIDE} pixels a side or more. Received: "
            f"{image.shape[0]}x{image.shape[1]}"
        )
    if size is None or image.shape[:2] == tuple(size):
        return image
    bands = [Image.fromarray(image[..., channel]) for channel in range(channels)]
    bands = [band.resize(size[::-1], Image.Resampling.BILINEAR) for band in bands]
    return np.stack([np.asarray(band) for band in bands], axis=-1)
