"""The decoder of DeepLabV3+: atrous spatial pyramid pooling and one low level."""

import keras
from keras import layers

from eseg_keras.layers import BatchNormalization, Resize

RATES = (6, 12, 18)
LOW_LEVEL_CHANNELS = 48


def deeplabv3plus_decoder(
    feature_shapes: dict,
    max_level: int,
    channels: int,
    repeats: int,
    activation: str,
    align: bool = False,
) -> keras.Model:
    """Build the decoder of DeepLabV3+, which ESeg's Table 8 compares with the BiFPN.

    The highest level goes through five parallel branches: a 1x1 convolution, 3x3 convolutions with
    dilation rates 6, 12 and 18, and global average pooling with a 1x1 convolution; another 1x1
    convolution joins them. The result is upsampled bilinearly, concatenated with the lowest level
    (projected to 48 channels) and passed through `repeats` separable 3x3 convolutions; the head
    adds one more, so one repeat gives the paper's decoder. Convolutions have no bias; batch
    normalisation and the activation follow each convolution (for separable ones, only the pointwise
    convolution).

    Args:
        feature_shapes: Dict from level name to (height, width, channels) of the encoder's
            features, lowest level first; heights and widths may be `None`. The levels between the
            lowest and the highest are not used.
        max_level: Highest level of `feature_shapes`; this decoder adds no levels.
        channels: Number of channels of the decoder's features.
        repeats: Number of separable convolutions.
        activation: Keras activation name.
        align: Ignored; features are resized, whatever their sizes.

    Returns:
        A Keras model from a dict of the lowest and the highest level to a dict of the lowest level,
        [B, h, w, channels].

    Raises:
        ValueError: If `max_level` is not the highest level of the features, or is the only level.

    Example:

    >>> from eseg_keras.decoders import deeplabv3plus_decoder
    >>> shapes = {"P2": (None, None, 24), "P5": (None, None, 320)}
    >>> decoder = deeplabv3plus_decoder(shapes, 5, 256, 1, "silu")
    >>> decoder.output["P2"].shape
    (None, None, None, 256)

    Reference:
        [Encoder-Decoder with Atrous Separable Convolution for Semantic Image
        Segmentation](https://arxiv.org/abs/1802.02611)
    """
    lowest, highest = list(feature_shapes)[0], list(feature_shapes)[-1]
    if highest != f"P{max_level}" or lowest == highest:
        raise ValueError(
            "DeepLabV3+ adds no levels: max_level must be an encoder level above the lowest level. "
            f"Received: max_level={max_level}, levels {list(feature_shapes)}"
        )
    inputs = {level: keras.Input(feature_shapes[level], name=level) for level in (lowest, highest)}

    def block(x, name, size=1, rate=1, filters=channels):
        x = layers.Conv2D(
            filters, size, padding="same", dilation_rate=rate, use_bias=False, name=f"{name}_conv"
        )(x)
        return _normalised(x, activation, name)

    top = inputs[highest]
    branches = [block(top, "aspp_1x1")]
    branches += [block(top, f"aspp_rate_{rate}", size=3, rate=rate) for rate in RATES]
    pooled = layers.GlobalAveragePooling2D(keepdims=True, name="aspp_image_pool")(top)
    pooled = block(pooled, "aspp_image")
    branches.append(Resize(name="aspp_image_upsample")(pooled, top))
    x = block(layers.Concatenate(name="aspp")(branches), "aspp_projection")

    low = inputs[lowest]
    x = Resize(name="aspp_upsample")(x, low)
    low = block(low, "low_level", filters=LOW_LEVEL_CHANNELS)
    x = layers.Concatenate(name="levels")([x, low])
    for repeat in range(1, repeats + 1):
        name = f"separable_{repeat}"
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
        x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_pointwise")(x)
        x = _normalised(x, activation, name)
    return keras.Model(inputs, {lowest: x}, name="decoder")


def _normalised(x, activation, name):
    x = BatchNormalization(name=f"{name}_bn")(x)
    return layers.Activation(activation, name=f"{name}_activation")(x)
