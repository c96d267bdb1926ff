"""Encoders: Keras models that map images to a dict of pyramid levels."""

from eseg_keras.encoders.builder import build_encoder, encoder_names, has_imagenet_weights
from eseg_keras.encoders.fused import fused_efficientnet
from eseg_keras.encoders.lite import efficientnet_lite

__all__ = [
    "build_encoder",
    "efficientnet_lite",
    "encoder_names",
    "fused_efficientnet",
    "has_imagenet_weights",
]
