"""What a predictor takes for images, one by one and by name."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from eseg_keras.data.images.image_reader import read_image
from eseg_keras.data.images.walker import IMAGE_SUFFIXES, find_images
from eseg_keras.inference.videos import VIDEO_SUFFIXES, read_frames

INPUT_SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES
"""Suffixes, in lower case, of the files that are predicted."""

NamedImage = tuple[str, Callable[[], np.ndarray]]


def named_images(inputs: Any, num_channels: int, max_pixels: int) -> Iterator[NamedImage]:
    """Go through images of any kind.

    Args:
        inputs: A path (of an image, a video, or a folder of either), a Pillow image, an array
            [H, W, C] or [H, W], a batch of such [B, H, W, C], or an iterable of any of these.
        num_channels: Channels that the network takes.
        max_pixels: Files of more pixels are refused.

    Yields:
        The name of each image, and a function without arguments that reads it as an array
        [H, W, num_channels], or raises a ValueError that says what is wrong with it. A path that
        does not exist, a folder without images and a damaged video are such images, too.

    Raises:
        ValueError: If something is none of these.
    """
    number = itertools.count()
    for image in _flat(inputs):
        if isinstance(image, str | Path):
            yield from _from_path(Path(image), num_channels, max_pixels)
        else:
            # Pillow reads its files late: what is wrong with one is found out then.
            yield f"image {next(number)}", partial(read_image, image, num_channels)


def find_inputs(folder: Path, recursive: bool, **options: Any) -> list[Path]:
    """List the images and videos of a folder, as `find_images` does."""
    try:
        return find_images(
            folder, kind="image or video", suffixes=INPUT_SUFFIXES, recursive=recursive, **options
        )
    except ValueError as error:
        raise ValueError(f"{folder}: {error}.") from error


def _flat(inputs):
    if isinstance(inputs, str | Path | Image.Image):
        yield inputs
    elif isinstance(inputs, np.ndarray):
        yield from inputs if inputs.ndim == 4 else [inputs]
    elif isinstance(inputs, Iterable):
        for image in inputs:
            yield from _flat(image)
    else:
        raise ValueError(
            "Expected a path, an array, a Pillow image, or an iterable of these. "
            f"Received: {type(inputs).__name__}"
        )


def _from_path(path, num_channels, max_pixels):
    try:
        if path.is_dir():
            for file in find_inputs(path, recursive=False):
                yield from _from_path(file, num_channels, max_pixels)
            return
        if not path.is_file():
            raise ValueError(f"{path}: there is no such file or folder.")
        if path.suffix.lower() in VIDEO_SUFFIXES:
            for number, frame in enumerate(read_frames(path)):
                yield f"{path}#{number}", partial(np.asarray, frame)
        else:
            yield str(path), partial(read_image, path, num_channels, max_pixels)
    except ValueError as error:
        yield str(path), partial(_fail, error)


def _fail(error):
    raise error
