"""Decoders, which fuse the levels of an encoder, and the segmentation head."""

from eseg_keras.decoders.bifpn import BiFPN, bifpn_decoder
from eseg_keras.decoders.bifpn_automl import bifpn_automl_decoder
from eseg_keras.decoders.builder import DECODERS, DecoderSpec
from eseg_keras.decoders.deeplabv3plus import deeplabv3plus_decoder
from eseg_keras.decoders.fpn import fpn_decoder
from eseg_keras.decoders.head import segmentation_head

__all__ = [
    "DECODERS",
    "BiFPN",
    "DecoderSpec",
    "bifpn_automl_decoder",
    "bifpn_decoder",
    "deeplabv3plus_decoder",
    "fpn_decoder",
    "segmentation_head",
]
