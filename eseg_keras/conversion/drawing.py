"""Draw the mask of an annotated image."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from eseg_keras.conversion.annotations import Annotated
from eseg_keras.data.datasets.metadata import IGNORE_LABEL
from eseg_keras.data.images.image_reader import (
    MAX_PIXELS,
    UNREADABLE,
    ImageFileError,
    check_header,
    no_pillow_limit,
    upright,
)

_FIRST_TURNED = 5  # EXIF orientations 5 to 8 swap width and height.


def draw_mask(
    example: Annotated, image: Path | bytes, labels: Mapping[str, int], unlabelled: int
) -> np.ndarray:
    """Return the mask of an image, uint8 [H, W], after EXIF rotation, or raise ImageFileError."""
    size, orientation = _size_and_orientation(image, example.name)
    seen_size = size[::-1] if orientation >= _FIRST_TURNED else size
    if example.size not in (size, seen_size):
        problem = (
            f"is {size[0]}x{size[1]} (height x width), but its annotations are for another size: "
            "use the images that were annotated"
        )
        raise ImageFileError(example.name, [problem])
    mask = np.full(example.size, unlabelled, np.uint8)
    try:
        for name, pixels in example.regions():
            mask[pixels] = IGNORE_LABEL if name is None else labels.get(name, unlabelled)
    except ImageFileError:
        raise
    except (TypeError, ValueError) as error:
        problem = f"has a shape that cannot be drawn ({error}): export it again"
        raise ImageFileError(example.file, [problem]) from error
    if example.size != seen_size:  # Annotated without the EXIF rotation.
        pil_image = Image.fromarray(mask)
        pil_image.getexif()[ExifTags.Base.Orientation] = orientation
        mask = np.asarray(upright(pil_image))
    return mask


def _size_and_orientation(image: Path | bytes, name: str):
    """Return (height, width) as stored in the file, and the EXIF orientation."""
    try:
        with no_pillow_limit():
            pil_image = Image.open(io.BytesIO(image) if isinstance(image, bytes) else image)
        with pil_image:
            check_header(name, pil_image, MAX_PIXELS)
            return pil_image.size[::-1], pil_image.getexif().get(ExifTags.Base.Orientation, 1)
    except ImageFileError:
        raise
    except Exception as error:  # Pillow raises exceptions of many types for damaged files.
        raise ImageFileError(name, [UNREADABLE]) from error
