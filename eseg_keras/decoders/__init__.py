"""Decoders: from an encoder's levels to fused levels of one width, and the head on top."""

from eseg_keras.decoders.bifpn import BiFPN, bifpn_decoder
from eseg_keras.decoders.builder import DECODERS
from eseg_keras.decoders.head import segmentation_head

__all__ = ["DECODERS", "BiFPN", "bifpn_decoder", "segmentation_head"]
