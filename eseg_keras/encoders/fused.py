"""The ESeg-Lite encoder: EfficientNet-B0's stages as Fused-MBConv blocks."""

import keras
from keras import layers

from eseg_keras.encoders.scaling import (
    B0_STAGES,
    B0_STEM,
    ENDPOINT_STAGES,
    conv_bn,
    round_filters,
    round_repeats,
)
from eseg_keras.layers import ImageScaling
from eseg_keras.layers.image_scaling import IMAGENET_OFFSET, IMAGENET_SCALE, for_channels

# Width and depth multipliers of the paper's Table 3.
FUSED_EFFICIENTNETS = {
    "fused_efficientnet_s": (0.4, 0.6),
    "fused_efficientnet_m": (0.6, 1.0),
    "fused_efficientnet_l": (1.0, 1.0),
}


def fused_efficientnet(
    width: float,
    depth: float,
    image_shape: tuple[int | None, int | None, int] = (None, None, 3),
    name: str = "fused_efficientnet",
) -> keras.Model:
    """Build the encoder of ESeg-Lite with random weights.

    The encoder has the stages of EfficientNet-B0, scaled by (width, depth) as in EfficientNet. It
    uses only operations that are fast in TensorRT (ESeg, section 3.3): Fused-MBConv blocks in place
    of MBConv blocks, ReLU, and no squeeze-and-excitation.

    Args:
        width: Multiplier of the number of filters in every stage and in the stem.
        depth: Multiplier of the number of blocks in every stage.
        image_shape: (H, W, C) of the images, H and W may be `None`.
        name: Name of the model.

    Returns:
        A Keras model from images [B, H, W, C], 0..255, to a dict of features `"P2"`..`"P5"`, where
        Pl has the shape [B, ceil(H / 2^l), ceil(W / 2^l), c_l].

    Example:

    >>> from eseg_keras.encoders import fused_efficientnet
    >>> encoder = fused_efficientnet(0.4, 0.6)
    >>> {level: feature.shape[-1] for level, feature in encoder.output.items()}
    {'P2': 16, 'P3': 16, 'P4': 48, 'P5': 128}

    Reference:
        [Revisiting Multi-Scale Feature Fusion for Semantic Segmentation](https://arxiv.org/abs/2203.12683),
        [EfficientNetV2](https://arxiv.org/abs/2104.00298) for the Fused-MBConv block
    """
    images = keras.Input(image_shape, name="images")
    x = ImageScaling(
        scale=for_channels(IMAGENET_SCALE, image_shape[-1]),
        offset=for_channels(IMAGENET_OFFSET, image_shape[-1]),
        name="image_scaling",
    )(images)
    x = _conv_bn_relu(x, round_filters(B0_STEM, width), 3, stride=2, name="stem")
    endpoints = {}
    for stage, (kernel, stride, expansion, repeats, filters) in enumerate(B0_STAGES, start=1):
        for block in range(round_repeats(repeats, depth)):
            x = _fused_mbconv(
                x,
                round_filters(filters, width),
                kernel,
                stride if block == 0 else 1,
                expansion,
                name=f"stage{stage}_block{block + 1}",
            )
        if stage in ENDPOINT_STAGES:
            endpoints[ENDPOINT_STAGES[stage]] = x
    return keras.Model(images, endpoints, name=name)


def _fused_mbconv(x, filters, kernel, stride, expansion, name):
    channels = x.shape[-1]
    if expansion == 1:
        y = _conv_bn_relu(x, filters, kernel, stride, f"{name}_conv")
    else:
        y = _conv_bn_relu(x, expansion * channels, kernel, stride, f"{name}_expand")
        y = conv_bn(y, filters, 1, 1, f"{name}_project", f"{name}_project_bn")
    if stride == 1 and channels == filters:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def _conv_bn_relu(x, filters, kernel, stride, name):
    return layers.ReLU(name=f"{name}_relu")(conv_bn(x, filters, kernel, stride, name, f"{name}_bn"))
