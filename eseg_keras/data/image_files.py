"""Reading photos, and one way of saying what is wrong with an image file."""

import contextlib
import struct
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
"""Suffixes, in lower case, of the files that are read as images."""

# A folder may hold anything: only so many of the suffixes inside are named.
_MOST_SUFFIXES = 8

MAX_PIXELS = 178_956_970
"""Pixels above which a photo is refused unless told otherwise, where Pillow refuses it too."""

# Rows that are converted at a time.
_BAND = 1024

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


def no_images(
    files: Iterable[Path], kind: str = "image", suffixes: frozenset[str] = IMAGE_SUFFIXES
) -> str:
    """Say that none of a folder's files is read as an image, and what they are instead.

    Args:
        files: What lies in the folder.
        kind: What was looked for. Defaults to `"image"`.
        suffixes: How its files end. Defaults to those of images.

    Returns:
        The message, without the folder's name.
    """
    message = f"no {kind} inside ({', '.join(sorted(suffixes))})"
    others = sorted({path.suffix.lower() or path.name for path in files} - suffixes)
    if others:
        shown = ", ".join(others[:_MOST_SUFFIXES]) + ", ..." * (len(others) > _MOST_SUFFIXES)
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


def read_photo(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read a photo as it is meant to be seen.

    The rotation in its EXIF tags is applied. Grey, palette, CMYK and 16-bit photos become 8-bit
    RGB; transparency is dropped.

    Args:
        path: JPEG, PNG, BMP or WebP file, or another that Pillow reads.
        max_pixels: Photos with more pixels are refused before they are decoded: a file of a few
            kilobytes may hold more than the memory does. Defaults to Pillow's own limit.

    Returns:
        uint8 array [H, W, 3], RGB.

    Raises:
        ImageFileError: If the file is not a whole image, or holds more than `max_pixels`.
    """
    from PIL import Image

    try:
        with no_pillow_limit(), Image.open(path) as picture:
            check_pixels(path, picture.size, max_pixels)
            return rgb_pixels(picture)
    except (ImageFileError, MemoryError):
        raise
    except Exception as error:  # Pillow lets many kinds through for damaged files.
        raise ImageFileError(path, [UNREADABLE]) from error


def check_pixels(path: str | Path, size: tuple[int, int], max_pixels: int) -> None:
    """Refuse a picture with too many pixels, before it is decoded.

    Args:
        path: Its file.
        size: (width, height) in its header.
        max_pixels: Most pixels allowed.

    Raises:
        ImageFileError: If it has more.
    """
    width, height = size
    if width * height > max_pixels:
        problem = (
            f"has {width * height:,} pixels ({height}x{width}), more than the limit of "
            f"{max_pixels:,}: if that is meant to be so, raise max_pixels"
        )
        raise ImageFileError(path, [problem])


def rgb_pixels(picture: "Image.Image") -> np.ndarray:
    """Return the pixels of a Pillow image as it is meant to be seen.

    Args:
        picture: An image of any mode. The rotation in its EXIF tags is applied; grey, palette, CMYK
            and 16-bit images become 8-bit RGB; transparency is dropped.

    Returns:
        uint8 array [H, W, 3], RGB.

    Example:

    >>> from PIL import Image
    >>> from eseg_keras.data.image_files import rgb_pixels
    >>> rgb_pixels(Image.new("L", (2, 1), 7)).tolist()
    [[[7, 7, 7], [7, 7, 7]]]
    """
    from PIL import ExifTags, Image, ImageOps

    # Nothing is turned or converted to what it is already: a large photo would be copied.
    if picture.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):
        # Pillow would clip 16-bit grey to 255 instead of scaling it.
        grey = np.clip(np.asarray(picture).astype(np.int64) / 257, 0, 255)
        picture = Image.fromarray(np.round(grey).astype(np.uint8))
    elif picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")
    # Band by band: at once, Pillow would hold a second and a third copy of a large photo.
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    for top in range(0, picture.height, _BAND):
        bottom = min(top + _BAND, picture.height)
        band = picture.crop((0, top, picture.width, bottom))
        pixels[top:bottom] = np.asarray(band if band.mode == "RGB" else band.convert("RGB"))
    return pixels


class _NoPillowLimit:
    """Lifts Pillow's own limit on pixels, one number for the whole process, for ours to hold.

    Several threads may be inside at once: the last one out puts Pillow's limit back.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._inside = 0

    @contextlib.contextmanager
    def __call__(self):
        from PIL import Image

        with self._lock:
            if not self._inside:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    Image.MAX_IMAGE_PIXELS = self._limit


no_pillow_limit = _NoPillowLimit()
"""Context in which Pillow opens pictures of any size, for `check_pixels` to refuse some."""
