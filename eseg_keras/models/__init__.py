"""The ESeg networks and the parts they are made of."""

from eseg_keras.models.bifpn import BiFPN
from eseg_keras.models.bifpn_decoder import bifpn_decoder
from eseg_keras.models.encoders import build_encoder, encoder_names
from eseg_keras.models.eseg import ESeg
from eseg_keras.models.fused_efficientnet import fused_efficientnet
from eseg_keras.models.profile import profile

__all__ = [
    "BiFPN",
    "ESeg",
    "bifpn_decoder",
    "build_encoder",
    "encoder_names",
    "fused_efficientnet",
    "profile",
]
