"""Reading photos, and one way of saying what is wrong with an image file."""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
"""Suffixes, in lower case, of the files that are read as images."""

# A folder may hold anything: only so many of the suffixes inside are named.
_MOST_SUFFIXES = 8

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


def no_images(files: Iterable[Path]) -> str:
    """Say that none of a folder's files is read as an image, and what they are instead.

    Args:
        files: What lies in the folder.

    Returns:
        The message, without the folder's name.
    """
    message = f"no image inside ({', '.join(sorted(IMAGE_SUFFIXES))})"
    suffixes = sorted({path.suffix.lower() or path.name for path in files} - IMAGE_SUFFIXES)
    if suffixes:
        shown = ", ".join(suffixes[:_MOST_SUFFIXES]) + ", ..." * (len(suffixes) > _MOST_SUFFIXES)
        message += f"; it holds {shown}: convert photos to PNG or JPEG, masks to PNG"
    return message


def is_lossless_webp(content: bytes) -> bool:
    """Tell whether a WebP file keeps every pixel as it was.

    Args:
        content: The whole file.

    Returns:
        Whether its picture is a `VP8L` chunk, and not `VP8 `. Others, such as a colour profile, may
        come before it. The frames of an animation are not looked into.

    Reference:
        [WebP container](https://developers.google.com/speed/webp/docs/riff_container)
    """
    position = 12  # After "RIFF", the size of the file and "WEBP".
    while position + 8 <= len(content):
        kind, size = struct.unpack_from("<4sI", content, position)
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        position += 8 + size + size % 2  # Chunks begin at even positions.
    return False


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
