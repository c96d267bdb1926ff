"""Decoders by name."""

import dataclasses
from collections.abc import Callable

import keras

from eseg_keras.decoders.bifpn import bifpn_decoder
from eseg_keras.decoders.bifpn_automl import bifpn_automl_decoder
from eseg_keras.decoders.deeplabv3plus import deeplabv3plus_decoder
from eseg_keras.decoders.fpn import fpn_decoder


@dataclasses.dataclass(frozen=True)
class DecoderSpec:
    """One decoder, and the defaults of `ESeg` for it.

    Attributes:
        build: Function with the arguments of `bifpn_decoder`. The model that it returns is named
            "decoder", as weights are found by names, and has every level of the pyramid, or the
            lowest alone.
        channels: Default of `decoder_channels`.
        repeats: Default of `decoder_repeats`.
        max_level: Default of `max_level`.
        output_strides: Output strides of the encoder that it accepts.
    """

    build: Callable[..., keras.Model]
    channels: int = 96
    repeats: int = 1
    max_level: int = 9
    output_strides: tuple[int, ...] = (32,)


DECODERS = {
    "bifpn": DecoderSpec(bifpn_decoder, repeats=4),
    "bifpn_automl": DecoderSpec(bifpn_automl_decoder, repeats=4),
    "fpn": DecoderSpec(fpn_decoder),
    "deeplabv3plus": DecoderSpec(
        deeplabv3plus_decoder, channels=256, max_level=5, output_strides=(32, 16)
    ),
}
"""The decoders that `ESeg(decoder=NAME)` builds."""
