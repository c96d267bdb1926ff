"""What a predictor takes for images, one by one and by name."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from eseg_keras.data.image_files import IMAGE_SUFFIXES, no_images, read_photo, rgb_pixels
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
        elif isinstance(image, Image.Image):
            # Pillow reads its files late: what is wrong with one is found out here.
            yield f"image {next(number)}", partial(_from_picture, image, num_channels)
        else:
            yield f"image {next(number)}", partial(image_array, image, num_channels)


def files_in(folder: Path) -> list[Path]:
    """List the images and videos of a folder, sorted; not hidden ones nor those in folders below.

    Args:
        folder: The folder.

    Raises:
        ValueError: If there is none.
    """
    # macOS writes a ._NAME.jpg, no picture, beside NAME.jpg.
    files = [path for path in folder.iterdir() if path.is_file() and path.name[0] != "."]
    found = [path for path in files if path.suffix.lower() in INPUT_SUFFIXES]
    if not found:
        raise ValueError(f"{folder}: {no_images(files, 'image or video', INPUT_SUFFIXES)}.")
    return sorted(found)


def image_array(image: Any, num_channels: int = 3) -> np.ndarray:
    """Turn an array into an image of the network's channels.

    Args:
        image: Array [H, W], [H, W, 1] (grey), [H, W, 3] or [H, W, 4] (transparency is dropped) of
            8-bit, 16-bit or float values; floats are of 0..255. For a network of other than 3
            channels, [H, W, num_channels].
        num_channels: Channels of the result. Defaults to 3, for RGB.

    Returns:
        Array [H, W, num_channels], uint8 where there are 3 channels.

    Raises:
        ValueError: If it is no image.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.inference import image_array
    >>> image_array(np.array([[0, 65535]], "uint16"))[..., 0].tolist()
    [[0, 255]]
    """
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[..., None]
    channels = (1, 3, 4) if num_channels == 3 else (num_channels,)
    if image.ndim != 3 or image.shape[-1] not in channels or not image.size:
        expected = "[H, W], or [H, W, C] with C = " + ", ".join(map(str, channels))
        raise ValueError(f"Expected an image {expected}. Received an array {list(image.shape)}.")
    if num_channels != 3:
        return image
    if image.shape[-1] != 3:
        image = np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image[..., :3]
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return np.round(image / 257).astype(np.uint8)
    if not (np.issubdtype(image.dtype, np.floating) or np.issubdtype(image.dtype, np.integer)):
        raise ValueError(f"Expected an image of numbers. Received an array of {image.dtype}.")
    low, high = image.min(), image.max()
    if not (low >= 0 and high <= 255):
        raise ValueError(f"Expected pixel values of 0 to 255. Received: {low} to {high}.")
    if np.issubdtype(image.dtype, np.floating) and 0 < high <= 1:
        raise ValueError(
            f"Expected pixel values of 0 to 255. Received floats of {low} to {high}: multiply by "
            "255 if they are of 0 to 1."
        )
    return np.round(image).astype(np.uint8)


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
            for file in files_in(path):
                yield from _from_path(file, num_channels, max_pixels)
            return
        if not path.is_file():
            raise ValueError(f"{path}: there is no such file or folder.")
        if num_channels != 3:
            raise ValueError(
                f"{path}: files are read as RGB, and the network takes {num_channels} channels: "
                f"pass arrays [H, W, {num_channels}]."
            )
        if path.suffix.lower() in VIDEO_SUFFIXES:
            for number, frame in enumerate(read_frames(path)):
                yield f"{path}#{number}", partial(np.asarray, frame)
        else:
            yield str(path), partial(read_photo, path, max_pixels)
    except ValueError as error:
        yield str(path), partial(_fail, error)


def _fail(error):
    raise error


def _from_picture(picture, num_channels):
    if num_channels == 3:
        return rgb_pixels(picture)
    return image_array(picture, num_channels)
