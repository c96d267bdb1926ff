"""Reading photos, and one way of saying what is wrong with an image file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
"""Suffixes, in lower case, of the files that are read as images."""

UNREADABLE = "cannot be read as an image: it is truncated, damaged, or another kind of file"


class ImageFileError(ValueError):
    """An image file that cannot be used.

    Attributes:
        path: The file.
        problems: What is wrong with it, a sentence each, without the file's name: files with the
            same problem can be told together.
    """

    def __init__(self, path: str | Path, problems: Sequence[str]):
        super().__init__(f"{path}: {'; '.join(problems)}")
        self.path = Path(path)
        self.problems = tuple(problems)


def read_photo(path: str | Path) -> np.ndarray:
    """Read a photo as it is meant to be seen.

    The rotation in its EXIF tags is applied. Grey, palette, CMYK and 16-bit photos become 8-bit
    RGB; transparency is dropped.

    Args:
        path: JPEG, PNG, BMP or WebP file.

    Returns:
        uint8 array [H, W, 3], RGB.

    Raises:
        ImageFileError: If the file is not a whole image.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            picture = ImageOps.exif_transpose(picture)
            if picture.mode.startswith("I"):
                # Pillow would clip 16-bit grey to 255 instead of scaling it.
                grey = np.clip(np.asarray(picture).astype(np.int64) / 257, 0, 255)
                picture = Image.fromarray(np.round(grey).astype(np.uint8))
            elif picture.mode == "P" and "transparency" in picture.info:
                picture = picture.convert("RGBA")
            return np.array(picture.convert("RGB"))
    except Exception as error:  # Pillow lets many kinds through for damaged files.
        raise ImageFileError(path, [UNREADABLE]) from error
