"""Keras layers of the ESeg networks; they can be used in other networks, too."""

from eseg_keras.layers.average_pooling import AveragePooling
from eseg_keras.layers.batch_normalization import BatchNormalization
from eseg_keras.layers.image_scaling import ImageScaling
from eseg_keras.layers.resize import NearestUpsampling, Resize
from eseg_keras.layers.weighted_fusion import WeightedFusion

__all__ = [
    "AveragePooling",
    "BatchNormalization",
    "ImageScaling",
    "NearestUpsampling",
    "Resize",
    "WeightedFusion",
]
