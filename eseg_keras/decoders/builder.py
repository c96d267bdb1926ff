"""Table of the decoders by name."""

import dataclasses
from collections.abc import Callable

import keras

from eseg_keras.decoders.bifpn import bifpn_decoder
from eseg_keras.decoders.bifpn_automl import bifpn_automl_decoder
from eseg_keras.decoders.deeplabv3plus import deeplabv3plus_decoder
from eseg_keras.decoders.fpn import fpn_decoder


@dataclasses.dataclass(frozen=True)
class DecoderSpec:
    """A decoder, and the defaults of `ESeg` for it.

    Attributes:
        build: Function with the arguments of `bifpn_decoder`. It returns a model named "decoder"
            (weights are found by name) whose outputs are all levels of the pyramid, or the lowest
            level only.
        channels: Default of `decoder_channels`.
        repeats: Default of `decoder_repeats`.
        max_level: Default of `max_level`.
        output_strides: Output strides of the encoder that the decoder accepts.
        least_kernels: Function from the number of levels to a lower bound on the number of
            parameters of one repeat, divided by channels^2. With this bound, a preset whose model
            would be too large is rejected before the model is built.
    """

    build: Callable[..., keras.Model]
    channels: int = 96
    repeats: int = 1
    max_level: int = 9
    output_strides: tuple[int, ...] = (32,)
    least_kernels: Callable[[int], int] = lambda levels: 0


def _one_per_node(levels):
    return 2 * (levels - 1)


DECODERS = {
    "bifpn": DecoderSpec(bifpn_decoder, repeats=4, least_kernels=_one_per_node),
    "bifpn_automl": DecoderSpec(bifpn_automl_decoder, repeats=4, least_kernels=_one_per_node),
    "fpn": DecoderSpec(fpn_decoder, least_kernels=lambda levels: 9 * levels),
    "deeplabv3plus": DecoderSpec(
        deeplabv3plus_decoder,
        channels=256,
        max_level=5,
        output_strides=(32, 16),
        least_kernels=lambda levels: 1,
    ),
}
"""The decoders that `ESeg(decoder=NAME)` builds."""
