"""The feature pyramid network, which has a top-down path only: a baseline for the BiFPN."""

import keras
from keras import layers

from eseg_keras.decoders.feature_pyramid import align_pyramid, extend_pyramid, project_laterals
from eseg_keras.layers import BatchNormalization, NearestUpsampling, WeightedFusion


def fpn_decoder(
    feature_shapes: dict,
    max_level: int,
    channels: int,
    repeats: int,
    activation: str,
    align: bool = False,
) -> keras.Model:
    """Build a feature pyramid network, the decoder that ESeg's Table 2 compares with the BiFPN.

    The lateral convolutions and the levels above the encoder's are those of `bifpn_decoder`. From
    the highest level down, the features of each level are upsampled by nearest neighbour and added
    to the level below. A 3x3 convolution without bias, batch normalisation and the activation are
    applied to every sum and to the highest level.

    Args:
        feature_shapes, max_level, channels, activation, align: See `bifpn_decoder`.
        repeats: Number of top-down passes; each takes the outputs of the previous pass.

    Returns:
        A Keras model, see `bifpn_decoder`.

    Example:

    >>> from eseg_keras.decoders import fpn_decoder
    >>> decoder = fpn_decoder({"P2": (None, None, 24), "P3": (None, None, 40)}, 5, 16, 1, "silu")
    >>> sorted(decoder.output)
    ['P2', 'P3', 'P4', 'P5']

    Reference:
        [Feature Pyramid Networks for Object Detection](https://arxiv.org/abs/1612.03144)
    """
    inputs = {level: keras.Input(shape, name=level) for level, shape in feature_shapes.items()}
    features = align_pyramid(inputs) if align else inputs
    features = project_laterals(extend_pyramid(features, max_level), channels)
    for repeat in range(1, repeats + 1):
        features = _top_down(features, channels, activation, f"fpn_{repeat}")
    return keras.Model(inputs, features, name="decoder")


def _top_down(features, channels, activation, name):
    levels = list(features)
    sums = {levels[-1]: features[levels[-1]]}
    for level, above in zip(levels[-2::-1], levels[:0:-1], strict=True):
        up = NearestUpsampling(name=f"{name}_{above}_up")(sums[above], features[level])
        sums[level] = WeightedFusion("sum", name=f"{name}_{level}_sum")([features[level], up])
    outputs = {}
    for level in levels:
        prefix = f"{name}_{level}"
        convolution = layers.Conv2D(
            channels, 3, padding="same", use_bias=False, name=f"{prefix}_conv"
        )
        x = BatchNormalization(name=f"{prefix}_bn")(convolution(sums[level]))
        outputs[level] = layers.Activation(activation, name=f"{prefix}_activation")(x)
    return outputs
