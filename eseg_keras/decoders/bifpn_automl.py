"""The BiFPN as in EfficientDet's published code, which differs from `bifpn_decoder`."""

import keras
from keras import layers

from eseg_keras.decoders.feature_pyramid import align_pyramid, extend_pyramid
from eseg_keras.layers import BatchNormalization, NearestUpsampling, WeightedFusion


def bifpn_automl_decoder(
    feature_shapes: dict,
    max_level: int,
    channels: int,
    repeats: int,
    activation: str,
    align: bool = False,
) -> keras.Model:
    """Build a BiFPN as in EfficientDet's published code.

    It differs from `bifpn_decoder` in four ways: a node is fusion, activation, separable
    convolution, batch normalisation, in this order; pointwise convolutions have biases; levels are
    downsampled by 3x3 max pooling; and in the first repeat, every node has its own 1x1 convolution
    and batch normalisation for each input whose number of channels is not `channels`. Levels above
    the encoder's are computed by average pooling, as in ESeg.

    Args:
        feature_shapes, max_level, channels, repeats, activation, align: See `bifpn_decoder`.

    Returns:
        A Keras model, see `bifpn_decoder`.

    Example:

    >>> from eseg_keras.decoders import bifpn_automl_decoder
    >>> shapes = {"P2": (None, None, 24), "P3": (None, None, 40)}
    >>> sorted(bifpn_automl_decoder(shapes, 5, 16, 2, "silu").output)
    ['P2', 'P3', 'P4', 'P5']

    Reference:
        [EfficientDet: Scalable and Efficient Object Detection](https://arxiv.org/abs/1911.09070),
        [its code](https://github.com/google/automl/tree/master/efficientdet)
    """
    inputs = {level: keras.Input(shape, name=level) for level, shape in feature_shapes.items()}
    features = extend_pyramid(align_pyramid(inputs) if align else inputs, max_level)
    for repeat in range(1, repeats + 1):
        features = _repeat(features, channels, activation, f"bifpn_{repeat}")
    return keras.Model(inputs, features, name="decoder")


def _repeat(features, channels, activation, name):
    levels = list(features)

    def resample(x, node, level):
        if x.shape[-1] == channels:
            return x
        x = layers.Conv2D(channels, 1, name=f"{node}_{level}_resample")(x)
        return BatchNormalization(name=f"{node}_{level}_resample_bn")(x)

    def combine(parts, node):
        x = WeightedFusion("fast", name=f"{node}_fusion")(parts)
        x = layers.Activation(activation, name=f"{node}_activation")(x)
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{node}_depthwise")(x)
        x = layers.Conv2D(channels, 1, name=f"{node}_pointwise")(x)
        return BatchNormalization(name=f"{node}_bn")(x)

    top_down = {levels[-1]: features[levels[-1]]}
    for level, above in zip(levels[-2::-1], levels[:0:-1], strict=True):
        node = f"{name}_{level}_top_down"
        up = NearestUpsampling(name=f"{node}_up")
        parts = [
            resample(features[level], node, level),
            up(resample(top_down[above], node, above), features[level]),
        ]
        top_down[level] = combine(parts, node)
    outputs = {levels[0]: top_down[levels[0]]}
    for level, below in zip(levels[1:], levels[:-1], strict=True):
        node = f"{name}_{level}_bottom_up"
        parts = [resample(features[level], node, level)]
        if level != levels[-1]:
            parts.append(top_down[level])  # At the highest level it equals `features[level]`.
        down = layers.MaxPooling2D(3, 2, "same", name=f"{node}_down")
        outputs[level] = combine([*parts, down(outputs[below])], node)
    return outputs
