"""EfficientNet-B0's stages, scaling rules and convolutions, for two families of encoders."""

import math
from typing import NamedTuple

import keras
from keras import layers

from eseg_keras.layers import BatchNormalization


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
# {last stage at stride 4, 8, 16 or 32, counted from 1: name of the level that it returns}.
ENDPOINT_STAGES = {2: "P2", 3: "P3", 5: "P4", 7: "P5"}


def round_filters(filters: int, width: float) -> int:
    """Scale a number of filters and round it to a multiple of 8.

    Rounding reduces the number by at most 10%.

    >>> round_filters(112, 0.4)
    48
    """
    scaled, divisor = filters * width, 8
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * scaled else rounded + divisor


def round_repeats(repeats: int, depth: float) -> int:
    """Scale the number of blocks in a stage, rounding up."""
    return math.ceil(depth * repeats)


def conv_initializer() -> keras.initializers.Initializer:
    """Return the initializer of EfficientNet's convolutions."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal")


def conv_bn(x, filters: int, kernel: int, stride: int, conv_name: str, bn_name: str):
    """Apply a convolution without bias, and then batch normalisation."""
    x = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=conv_initializer(),
        name=conv_name,
    )(x)
    return BatchNormalization(name=bn_name)(x)
