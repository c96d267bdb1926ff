"""The arguments of a predictor, checked before anything is built."""

import math

from eseg_keras.inference.image_maps import SMALLEST_SIDE


def pair(value: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Return one number for both axes, or one for each, as two numbers."""
    if value is None:
        return None
    return (value, value) if isinstance(value, int) else tuple(value)


def check_numbers(batch_size, long_side, image_size, scales, min_confidence, max_pixels) -> None:
    """Raise a ValueError for numbers out of range."""
    if batch_size < 1 or max_pixels < 1:
        raise ValueError(
            "batch_size and max_pixels must be at least 1. "
            f"Received: batch_size={batch_size}, max_pixels={max_pixels}"
        )
    if long_side is not None and image_size is not None:
        raise ValueError(
            "long_side and image_size both say at which size the network sees an image: give one. "
            f"Received: long_side={long_side}, image_size={image_size}"
        )
    if long_side is not None and long_side < SMALLEST_SIDE:
        raise ValueError(f"long_side must be at least {SMALLEST_SIDE}. Received: {long_side}")
    if image_size is not None and min(image_size) < SMALLEST_SIDE:
        raise ValueError(
            f"image_size must be at least {SMALLEST_SIDE}x{SMALLEST_SIDE}. Received: {image_size}"
        )
    if not scales or not all(math.isfinite(scale) and scale > 0 for scale in scales):
        raise ValueError(f"scales must be positive numbers, at least one. Received: {scales}")
    if min_confidence is not None and not 0 <= min_confidence <= 1:
        raise ValueError(f"min_confidence must be from 0 to 1. Received: {min_confidence}")


def check_windows(window, overlap, long_side, image_size) -> None:
    """Raise a ValueError for windows that cannot be, or that contradict another argument."""
    if window is None:
        if overlap is not None:
            raise ValueError(f"overlap is for windows: give window too. Received: {overlap}")
        return
    if long_side is not None or image_size is not None:
        raise ValueError(
            "A window slides over an image in its own size: leave long_side and image_size out. "
            f"Received: window={window}, long_side={long_side}, image_size={image_size}"
        )
    if (
        min(window) < SMALLEST_SIDE
        or min(overlap) < 0
        or overlap[0] >= window[0]
        or (overlap[1] >= window[1])
    ):
        raise ValueError(
            f"window must be at least {SMALLEST_SIDE} pixels, and overlap smaller than it. "
            f"Received: window={window}, overlap={overlap}"
        )
