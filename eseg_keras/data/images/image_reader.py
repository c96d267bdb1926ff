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
"""Default limit of an image's number of pixels; above it, Pillow, too, raises an error."""

_REDUCED = "16-bit colours reduced to 8 bits"
_BAND = 1024  # number of rows that are converted at a time
_MULTI_FRAME_FORMATS = ("AVIF", "GIF", "PNG", "TIFF", "WEBP")

_pillow_limit = threading.Lock()

UNREADABLE = "cannot be read as an image: it is truncated, damaged, or another kind of file"


class ImageFileError(ValueError):
    """An image file that cannot be used.

    Attributes:
        path: The file; for bytes, their name in messages.
        problems: Problems of the file, such as `"cannot be read"`. They do not contain the file's
            name, so that files with the same problem can be reported together.
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

    With `num_channels=3`, the EXIF rotation of files and Pillow images is applied, grey, palette,
    CMYK and 16-bit images become 8-bit RGB, and the alpha channel is dropped. With another number,
    files raise an error, and the EXIF rotation of Pillow images is ignored.

    Args:
        image: Path of an image file, bytes of an image file, Pillow image, or array. Arrays are
            [H, W], [H, W, 1] (grey), [H, W, 3] or [H, W, 4]; if `num_channels` is not 3,
            [H, W, num_channels].
        num_channels: Channels of the result. Defaults to 3, for RGB.
        max_pixels: Files with more pixels raise an error before they are decoded: a file of a few
            kilobytes may decode to more than fits in memory. Defaults to Pillow's own limit.
        name: Name of the file in error messages. Defaults to its path, or `"image"` for bytes.
        image_range: (lowest, highest) value of the image; these two values become 0 and 255. By
            default, the range of 16-bit images is 0..65535 and that of all others 0..255. Values
            that suggest another range, such as floats up to 1, raise an error.
        first_frame: Whether to read the first frame of files with several frames or pages, such as
            animated GIF or multi-page TIFF. Defaults to `False`: such files raise an error.

    Returns:
        Array [H, W, num_channels] in the range 0..255; uint8 if there are 3 channels.

    Raises:
        ImageFileError: If a file cannot be used; the message contains its name.
        ValueError: If an array or a Pillow image cannot be used.

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
            problem = f"files are read as RGB, but the network expects {num_channels} channels"
            raise ImageFileError(name, [f"{problem}: pass arrays [H, W, {num_channels}]"])
        pil_image = decode(image, name, max_pixels, first_frame)
        try:
            return _rgb_pixels(pil_image, image_range)
        except ValueError as error:
            raise ImageFileError(name, [str(error)]) from error
    if isinstance(image, Image.Image):
        try:
            _load(image)
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
    """Decode an image file (path or bytes) in the file's own mode; EXIF rotation is not applied."""
    from PIL import Image

    content = content if isinstance(content, bytes) else read_file(content, name)
    try:
        with no_pillow_limit():
            pil_image = Image.open(io.BytesIO(content))
            check_header(name, pil_image, max_pixels, first_frame)
        _load(pil_image)
    except (ImageFileError, MemoryError):
        raise
    except Exception as error:  # Pillow raises exceptions of many types for damaged files.
        raise ImageFileError(name, [UNREADABLE]) from error
    return pil_image


def _load(pil_image):
    """Load the pixels; note in `info` whether Pillow reduces 16-bit colours to 8 bits."""
    is_color = pil_image.mode in ("RGB", "RGBA", "LA")
    if is_color and any(";16" in str(tile[3]) for tile in getattr(pil_image, "tile", ())):
        pil_image.info[_REDUCED] = True
    pil_image.load()


def read_file(path: str | Path, name: str | Path) -> bytes:
    """Return the bytes of an image file; raise ImageFileError if they cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ImageFileError(name, [f"cannot be read: {error.strerror}"]) from error


@contextlib.contextmanager
def no_pillow_limit() -> Iterator[None]:
    """Disable Pillow's process-wide pixel limit inside the `with` block."""
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
    """Raise ImageFileError, before decoding, if an image has too many pixels or several frames."""
    width, height = pil_image.size
    if width * height > max_pixels:
        problem = (
            f"has {width * height:,} pixels ({height}x{width}), more than the limit of "
            f"{max_pixels:,}: to read it anyway, increase max_pixels"
        )
        raise ImageFileError(name, [problem])
    if first_frame:
        return
    # Other formats are accepted: further frames of JPEG (MPO) are previews or stereo images.
    frames = getattr(pil_image, "n_frames", 1)
    if frames > 1 and pil_image.format in _MULTI_FRAME_FORMATS:
        problem = (
            f"contains {frames} frames or pages: save one of them as a separate file, or pass "
            "first_frame=True (--first_frame) to read the first"
        )
        raise ImageFileError(name, [problem])


def upright(pil_image: "Image.Image") -> "Image.Image":
    """Return a Pillow image with the rotation in its EXIF tags applied."""
    from PIL import ExifTags, ImageOps

    # `exif_transpose` would copy the image even if it needs no rotation.
    try:
        orientation = pil_image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Only the EXIF tags are damaged, not the pixels.
        return pil_image
    if orientation != 1:
        try:
            pil_image = ImageOps.exif_transpose(pil_image)
        except (SyntaxError, OSError, TypeError) as error:  # Pillow cannot rewrite the tags.
            raise ValueError(UNREADABLE) from error
    return pil_image


def _rgb_pixels(pil_image, image_range=None):
    """Convert a Pillow image of any mode to uint8 [H, W, 3]."""
    if image_range is not None and pil_image.info.get(_REDUCED):
        raise ValueError(
            "has colours of 16 bits, which are read with 8 bits, so that image_range cannot be "
            "applied: convert it to 8 bits, or omit image_range if its range is 0 to 65535"
        )
    pil_image = upright(pil_image)
    if pil_image.mode.startswith("I;16") or (pil_image.mode == "I" and pil_image.format == "PNG"):
        # Pillow's conversion would clip 16-bit grey to 255 instead of scaling it.
        return _checked_array(np.asarray(pil_image).astype(np.uint16), image_range=image_range)
    if pil_image.mode in ("I", "F"):
        return _checked_array(np.asarray(pil_image), image_range=image_range)
    if pil_image.mode == "P" and "transparency" in pil_image.info:
        pil_image = pil_image.convert("RGBA")
    # Convert bands of rows: converting the whole image would need memory for two more copies.
    pixels = np.empty((pil_image.height, pil_image.width, 3), np.uint8)
    for top in range(0, pil_image.height, _BAND):
        bottom = min(top + _BAND, pil_image.height)
        band = pil_image.crop((0, top, pil_image.width, bottom))
        pixels[top:bottom] = np.asarray(band if band.mode == "RGB" else band.convert("RGB"))
    return pixels if image_range is None else _checked_array(pixels, image_range=image_range)


def _checked_array(image, num_channels=3, image_range=None):
    """Check an array and return it as [H, W, num_channels]; uint8 if there are 3 channels."""
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
