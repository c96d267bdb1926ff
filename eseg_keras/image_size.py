"""Checks of input images: the smallest size and the range of pixel values."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# At this size, P5, the encoders' last level (stride 32), has a single cell.
SMALLEST_SIDE = 32


def check_image_size(name: str, size: int | Sequence[int | None] | None) -> None:
    """Raise ValueError if a side is below `SMALLEST_SIDE`; `None` means any size."""
    sides = [size] if size is None or isinstance(size, int) else size
    if any(side is not None and side < SMALLEST_SIDE for side in sides):
        raise ValueError(f"{name} must be at least {SMALLEST_SIDE} pixels. Received: {name}={size}")


def to_pixel_values(
    image: "np.ndarray", image_range: tuple[float, float] | None = None
) -> "np.ndarray":
    """Scale pixel values to the range 0..255; raise ValueError if they are out of range.

    Without an `image_range`, the range of uint16 images is 0..65535 and that of all others 0..255.
    Values that suggest another range, such as floats up to 1, raise ValueError.
    """
    import numpy as np  # Imported here: the command line starts without NumPy.

    if not (np.issubdtype(image.dtype, np.floating) or np.issubdtype(image.dtype, np.integer)):
        raise ValueError(f"Expected an integer or float image. Received an array of {image.dtype}.")
    if image_range is None and image.dtype == np.uint8:
        return image
    low, high = image.min(), image.max()
    received = f"Received: {image.dtype} from {low} to {high}"
    if image_range is not None:
        least, most = check_image_range(image_range)
        if not least <= low <= high <= most:
            raise ValueError(f"Expected values in image_range=({least:g}, {most:g}). {received}.")
        return (image.astype(np.float32) - least) * np.float32(255 / (most - least))
    declare = "pass the range of the values, such as image_range="
    if image.dtype == np.uint16:
        if 0 < high <= 255:
            raise ValueError(
                f"Expected 16-bit pixel values from 0 to 65535. {received}: {declare}(0, 255)."
            )
        return image / np.float32(257)
    if not (low >= 0 and high <= 255):
        remedy = f"{declare}(0, 4095)" if -np.inf < low <= high < np.inf else "repair the image"
        raise ValueError(f"Expected pixel values from 0 to 255. {received}: {remedy}.")
    if np.issubdtype(image.dtype, np.floating) and 0 < high <= 1:
        remedy = f"multiply by 255, or {declare}(0, 1)"
        raise ValueError(f"Expected pixel values from 0 to 255. {received}: {remedy}.")
    return image


def check_image_range(image_range: Sequence[float]) -> tuple[float, float]:
    """Return an `image_range` as two numbers; raise ValueError if it is invalid."""
    if len(image_range) != 2 or not -1e9 <= image_range[0] < image_range[1] <= 1e9:
        raise ValueError(
            "image_range must be (lowest, highest), two finite numbers. "
            f"Received: image_range={image_range!r}"
        )
    return float(image_range[0]), float(image_range[1])
