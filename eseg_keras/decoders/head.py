"""The prediction head, which fuses the levels and classifies every cell."""

import keras
from keras import layers

from eseg_keras.layers import BatchNormalization, Resize, WeightedFusion


def segmentation_head(
    feature_shapes: dict, num_classes: int, activation: str, fusion: str
) -> keras.Model:
    """Build the head: a model from pyramid levels to logits at the lowest level's resolution.

    All levels are upsampled bilinearly to the resolution of the lowest level and summed, with
    `fusion="softmax"` each multiplied by one scalar. The sum passes through a separable 3x3
    convolution, batch normalisation, the activation and the classifier, a 1x1 convolution with bias
    (ESeg, section 3.1). A single level is used without a sum.

    Args:
        feature_shapes: Dict from level name to (height, width, channels), lowest level first.
        num_classes: Number of channels of the logits.
        activation: Keras activation name.
        fusion: `"softmax"` for learnable scalars, `"sum"` for a plain sum; see `WeightedFusion`.

    Returns:
        A Keras model from a dict of features to float32 logits [B, h, w, num_classes].

    Reference:
        [Revisiting Multi-Scale Feature Fusion for Semantic Segmentation](https://arxiv.org/abs/2203.12683)
    """
    inputs = {level: keras.Input(shape, name=level) for level, shape in feature_shapes.items()}
    lowest, *others = inputs
    x = inputs[lowest]
    if others:
        resized = [Resize(name=f"{level}_upsample")(inputs[level], x) for level in others]
        x = WeightedFusion(fusion, name="fusion")([x, *resized])
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    x = layers.Conv2D(x.shape[-1], 1, use_bias=False, name="pointwise")(x)
    x = BatchNormalization(name="bn")(x)
    x = layers.Activation(activation, name="activation")(x)
    # Logits are float32 under every dtype policy.
    logits = layers.Conv2D(num_classes, 1, dtype="float32", name="classifier")(x)
    return keras.Model(inputs, logits, name="head")
