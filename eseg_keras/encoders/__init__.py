"""Encoders: images in, a dict of pyramid levels out."""

from eseg_keras.encoders.builder import build_encoder, encoder_names, has_imagenet_weights
from eseg_keras.encoders.efficientnet_lite import efficientnet_lite
from eseg_keras.encoders.fused_efficientnet import fused_efficientnet

__all__ = [
    "build_encoder",
    "efficientnet_lite",
    "encoder_names",
    "fused_efficientnet",
    "has_imagenet_weights",
]
