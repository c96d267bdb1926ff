"""Reading an image, and the error for files that cannot be read."""

import contextlib
import io
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eseg_keras.image_size import to_pixel_values

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 178_956_970
"""Pixels above which an image is refused by default, as Pillow does."""

_BAND = 1024  # rows that are converted at a time
_MULTI_FRAME_FORMATS = ("AVIF", "GIF", "PNG", "TIFF", "WEBP")

_pillow_limit = threading.Lock()

UNREADABLE = "cannot be read as an image: it is truncated, damaged, or another kind of file"


class ImageFileError(ValueError):
    """An image file that cannot be used.

    Attributes:
        path: The file.
        problems: Its problems, one sentence each, without the file's name, so that files with the
            same problem can be reported together.
    """

    def __init__(self, path: str | Path, problems: Sequence[str]):
        super().__init__(f"{path}: {'; '.join(problems)}")
        self.path = Path(path)
        self.problems = tuple(problems)


def read_image(
    image: Any,
    num_channels: int = 3,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
    image_range: tuple[float, float] | None = None,
    first_frame: bool = False,
) -> np.ndarray:
    """Read an image from a file, bytes, a Pillow image or an array.

    The EXIF rotation of files and Pillow images is applied. For a network of 3 channels, grey,
    palette, CMYK and 16-bit images become 8-bit RGB, and transparency is dropped.

    Args:
        image: Path of an image file, the bytes of one, a Pillow image, or an array [H, W],
            [H, W, 1] (grey), [H, W, 3] or [H, W, 4]. If `num_channels` is not 3,
            [H, W, num_channels].
        num_channels: Channels of the result. Defaults to 3, for RGB.
        max_pixels: Files with more pixels are refused before they are decoded: a file of a few
            kilobytes may decode to more than fits in memory. Defaults to Pillow's own limit.
        name: Name of bytes in messages. Defaults to `"image"`.
        image_range: (lowest, highest) value of the images, which become 0 and 255. By default
            16-bit images are of 0..65535 and all others of 0..255; values that are probably of
            another range, such as floats of 0..1, are refused.
        first_frame: Whether the first frame of files with several, such as animated GIF or TIFF of
            several pages, is read. Defaults to `False`: they are refused.

    Returns:
        Array [H, W, num_channels] of 0..255, uint8 if there are 3 channels.

    Raises:
        ImageFileError: If a file cannot be used; it names the file.
        ValueError: If something else is not an image.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.data import read_image
    >>> read_image(np.array([[0, 65535]], "uint16"))[..., 0].tolist()
    [[0, 255]]
    """
    from PIL import Image

    if isinstance(image, str | Path | bytes):
        name = name or ("image" if isinstance(image, bytes) else str(image))
        if num_channels != 3:
            problem = f"files are read as RGB, and the network takes {num_channels} channels"
            raise ImageFileError(name, [f"{problem}: pass arrays [H, W, {num_channels}]"])
        pil_image = decode(image, name, max_pixels, first_frame)
        try:
            return _rgb_pixels(pil_image, image_range)
        except ValueError as error:
            raise ImageFileError(name, [str(error)]) from error
    if isinstance(image, Image.Image):
        try:
            image.load()
        except MemoryError:
            raise
        except Exception as error:  # Pillow raises exceptions of many types for damaged files.
            raise ValueError(f"The image {UNREADABLE}.") from error
        if num_channels == 3:
            return _rgb_pixels(image, image_range)
    return _checked_array(np.asarray(image), num_channels, image_range)


def decode(
    content: str | Path | bytes,
    name: str | Path,
    max_pixels: int = MAX_PIXELS,
    first_frame: bool = False,
) -> "Image.Image":
    """Decode an image file (its path or bytes), in the file's own mode, without EXIF rotation."""
    from PIL import Image

    try:
        content = content if isinstance(content, bytes) else Path(content).read_bytes()
        with no_pillow_limit():
            pil_image = Image.open(io.BytesIO(content))
            check_header(name, pil_image, max_pixels, first_frame)
        pil_image.load()
    except (ImageFileError, MemoryError):
        raise
    except Exception as error:  # Pillow raises exceptions of many types for damaged files.
        raise ImageFileError(name, [UNREADABLE]) from error
    return pil_image


@contextlib.contextmanager
def no_pillow_limit() -> Iterator[None]:
    """Lift Pillow's limit of pixels, which is global to all threads, while files are opened."""
    from PIL import Image

    with _pillow_limit:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def check_header(
    name: str | Path, pil_image: "Image.Image", max_pixels: int, first_frame: bool = False
) -> None:
    """Refuse an image with too many pixels or several frames, before it is decoded."""
    width, height = pil_image.size
    if width * height > max_pixels:
        problem = (
            f"has {width * height:,} pixels ({height}x{width}), more than the limit of "
            f"{max_pixels:,}: if that is intended, raise max_pixels"
        )
        raise ImageFileError(name, [problem])
    if first_frame:
        return
    # The further frames of a JPEG (MPO) are previews or the second image of a stereo pair.
    frames = getattr(pil_image, "n_frames", 1)
    if frames > 1 and pil_image.format in _MULTI_FRAME_FORMATS:
        problem = (
            f"holds {frames} frames or pages: save the one to use as a file of its own, or pass "
            "first_frame=True (--first_frame) to read the first"
        )
        raise ImageFileError(name, [problem])


def upright(pil_image: "Image.Image") -> "Image.Image":
    """Return a Pillow image with the rotation in its EXIF tags applied."""
    from PIL import ExifTags, ImageOps

    # `exif_transpose` would copy a large image even if it is upright already.
    try:
        orientation = pil_image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # The tags are damaged, the pixels are not.
        return pil_image
    if orientation != 1:
        try:
            pil_image = ImageOps.exif_transpose(pil_image)
        except (SyntaxError, OSError, TypeError) as error:  # Tags that cannot be rewritten.
            raise ValueError(UNREADABLE) from error
    return pil_image


def _rgb_pixels(pil_image, image_range=None):
    """uint8 [H, W, 3] of a Pillow image of any mode."""
    pil_image = upright(pil_image)
    if pil_image.mode.startswith("I;16") or (pil_image.mode == "I" and pil_image.format == "PNG"):
        # Pillow would clip 16-bit grey to 255 instead of scaling it.
        return _checked_array(np.asarray(pil_image).astype(np.uint16), image_range=image_range)
    if pil_image.mode in ("I", "F"):
        return _checked_array(np.asarray(pil_image), image_range=image_range)
    if pil_image.mode == "P" and "transparency" in pil_image.info:
        pil_image = pil_image.convert("RGBA")
    # In bands of rows: converted as a whole, Pillow would hold two more copies of a large image.
    pixels = np.empty((pil_image.height, pil_image.width, 3), np.uint8)
    for top in range(0, pil_image.height, _BAND):
        bottom = min(top + _BAND, pil_image.height)
        band = pil_image.crop((0, top, pil_image.width, bottom))
        pixels[top:bottom] = np.asarray(band if band.mode == "RGB" else band.convert("RGB"))
    return pixels if image_range is None else _checked_array(pixels, image_range=image_range)


def _checked_array(image, num_channels=3, image_range=None):
    """An array as [H, W, num_channels], checked; uint8 if there are 3 channels."""
    if image.ndim == 2:
        image = image[..., None]
    channels = (1, 3, 4) if num_channels == 3 else (num_channels,)
    if image.ndim != 3 or image.shape[-1] not in channels or not image.size:
        expected = "[H, W], or [H, W, C] with C = " + ", ".join(map(str, channels))
        raise ValueError(f"Expected an image {expected}. Received an array {list(image.shape)}.")
    if num_channels == 3 and image.shape[-1] != 3:
        image = np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image[..., :3]
    image = to_pixel_values(image, image_range)
    return np.round(image).astype(np.uint8) if num_channels == 3 else image
