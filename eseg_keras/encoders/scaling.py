"""EfficientNet-B0's stages and EfficientNet's scaling rules."""

import math
from typing import NamedTuple


class Stage(NamedTuple):
    """One stage of EfficientNet-B0 before scaling."""

    kernel: int
    stride: int
    expansion: int
    repeats: int
    filters: int


B0_STAGES = (
    Stage(3, 1, 1, 1, 16),
    Stage(3, 2, 6, 2, 24),
    Stage(5, 2, 6, 2, 40),
    Stage(3, 2, 6, 3, 80),
    Stage(5, 1, 6, 3, 112),
    Stage(5, 2, 6, 4, 192),
    Stage(3, 1, 6, 1, 320),
)
B0_STEM = 32
# {number of the last stage at a stride, from 1: level}.
ENDPOINT_STAGES = {2: "P2", 3: "P3", 5: "P4", 7: "P5"}


def round_filters(filters: int, width: float, divisor: int = 8) -> int:
    """Scale a filter count and round it to a multiple of `divisor`, down by at most 10%.

    Args:
        filters: Filters before scaling.
        width: Width multiplier.
        divisor: The result is a multiple of it. Defaults to 8.

    Returns:
        The scaled filter count.

    Example:

    >>> from eseg_keras.encoders.scaling import round_filters
    >>> round_filters(112, 0.4)
    48

    Reference:
        [EfficientNet](https://arxiv.org/abs/1905.11946)
    """
    scaled = filters * width
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * scaled else rounded + divisor


def round_repeats(repeats: int, depth: float) -> int:
    """Scale the number of blocks in a stage, rounding up."""
    return math.ceil(depth * repeats)
