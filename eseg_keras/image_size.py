"""The smallest images that the networks take."""

from collections.abc import Sequence

# P5, the last level of the encoders, then has one cell.
SMALLEST_SIDE = 32


def check_image_size(name: str, size: int | Sequence[int | None] | None) -> None:
    """Raise ValueError if a side is below `SMALLEST_SIDE`; `None` stands for any size."""
    sides = [size] if size is None or isinstance(size, int) else size
    if any(side is not None and side < SMALLEST_SIDE for side in sides):
        raise ValueError(f"{name} must be at least {SMALLEST_SIDE} pixels. Received: {name}={size}")
