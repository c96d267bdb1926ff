"""Build all levels of the decoder, with its number of channels, from the encoder's levels."""

import keras
from keras import layers, ops

from eseg_keras.layers import AveragePooling, BatchNormalization


@keras.saving.register_keras_serializable(package="eseg_keras")
class HalveLike(keras.layers.Layer):
    """Pad a feature map at the bottom and right to half the size of the level below, rounded up.

    Encoders with SAME padding do not need this layer. Encoders that round sizes down (DenseNet,
    ConvNeXt) lack one row or column at some sizes; this layer then repeats the last one.
    """

    def call(self, x, below):
        """Return `x` with the last row and column repeated where they are missing."""
        height, width = ops.shape(below)[1:3]
        x = ops.concatenate([x, x[:, -1:]], axis=1)[:, : (height + 1) // 2]
        return ops.concatenate([x, x[:, :, -1:]], axis=2)[:, :, : (width + 1) // 2]

    def compute_output_shape(self, x_shape, below_shape):
        """Return the shape of the output."""
        half = [None if size is None else (size + 1) // 2 for size in below_shape[1:3]]
        return (x_shape[0], *half, x_shape[3])


def extend_pyramid(features: dict, max_level: int) -> dict:
    """Add levels above the encoder's by 3x3 stride-2 average pooling of the level below."""
    features = dict(features)
    top = int(list(features)[-1][1:])
    for level in range(top + 1, max_level + 1):
        pool = AveragePooling(name=f"P{level}_pool")
        features[f"P{level}"] = pool(features[f"P{level - 1}"])
    return features


def align_pyramid(features: dict) -> dict:
    """Pad every level to half the size of the level below, rounded up."""
    aligned, below = {}, None
    for level, x in features.items():
        aligned[level] = x if below is None else HalveLike(name=f"{level}_halve")(x, below)
        below = aligned[level]
    return aligned


def project_laterals(features: dict, channels: int) -> dict:
    """Project every level to `channels` by a 1x1 convolution and batch normalisation."""
    laterals = {}
    for level, x in features.items():
        x = layers.Conv2D(channels, 1, use_bias=False, name=f"{level}_lateral")(x)
        laterals[level] = BatchNormalization(name=f"{level}_lateral_bn")(x)
    return laterals
