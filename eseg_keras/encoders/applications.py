"""Table of the networks of keras.applications that are used as encoders."""

import dataclasses

from eseg_keras.layers.image_scaling import IMAGENET_OFFSET, IMAGENET_SCALE


@dataclasses.dataclass(frozen=True)
class EncoderSpec:
    """How to turn a network of keras.applications into an encoder.

    Attributes:
        application: Name of the constructor in `keras.applications`.
        endpoints: Names of the layers that end the last blocks at strides 4, 8, 16 and 32
            (`"P2"`..`"P5"`). For blocks that end in an unnamed addition, `"before:NAME"` is the
            input of layer NAME, and `"before:"` the input of the last layer.
        weights_file: Name of the ImageNet weights file without classifier, in Keras' cache.
        scale: Factor that images of 0..255 are multiplied by: one number, or one per channel.
        offset: Number added to the scaled images: one number, or one per channel.
        reverse_channels: Whether the network takes images in BGR order.
        same_padding: Whether to replace explicit padding before strided convolutions by SAME.
            Otherwise, a network built for images of any size pads as if the input of every stage
            had an even size; where it is odd, the network differs from one built for a fixed size.
        has_preprocessing_argument: Whether the constructor takes `include_preprocessing`.
    """

    application: str
    endpoints: tuple[str, str, str, str]
    weights_file: str
    scale: float | list[float] = dataclasses.field(default_factory=lambda: IMAGENET_SCALE)
    offset: float | list[float] = dataclasses.field(default_factory=lambda: IMAGENET_OFFSET)
    reverse_channels: bool = False
    same_padding: bool = False
    has_preprocessing_argument: bool = False


def _efficientnet(size, p2, p3, p4, p5):
    return EncoderSpec(
        application=f"EfficientNetB{size}",
        endpoints=(f"block{p2}_add", f"block{p3}_add", f"block{p4}_add", f"block{p5}"),
        weights_file=f"efficientnetb{size}_notop.h5",
        same_padding=True,
    )


def _efficientnet_v2(size, p2, p3, p4, p5):
    spec = EncoderSpec(
        application=f"EfficientNetV2{size}",
        endpoints=tuple(f"block{block}_add" for block in (p2, p3, p4, p5)),
        weights_file=f"efficientnetv2-{size.lower()}_notop.h5",
        has_preprocessing_argument=True,
    )
    if size.startswith("B"):
        return spec
    return dataclasses.replace(spec, scale=1 / 128.0, offset=-1.0)


def _resnet(depth, blocks):
    return EncoderSpec(
        application=f"ResNet{depth}",
        endpoints=tuple(
            f"conv{stage}_block{last}_out" for stage, last in enumerate(blocks, start=2)
        ),
        weights_file=f"resnet{depth}_weights_tf_dim_ordering_tf_kernels_notop.h5",
        # Preprocessing of Caffe: BGR, mean subtracted, no division.
        scale=1.0,
        offset=[-103.939, -116.779, -123.68],
        reverse_channels=True,
    )


def _mobilenet_v3(size, p2, p3, p4, p5):
    return EncoderSpec(
        application=f"MobileNetV3{size}",
        endpoints=tuple(f"expanded_conv{block}" for block in (p2, p3, p4, p5)),
        weights_file=f"weights_mobilenet_v3_{size.lower()}_224_1.0_float_no_top_v2.h5",
        scale=1 / 127.5,
        offset=-1.0,
        same_padding=True,
        has_preprocessing_argument=True,
    )


def _convnext(size):
    name = f"convnext_{size.lower()}"
    return EncoderSpec(
        application=f"ConvNeXt{size}",
        endpoints=(
            f"before:{name}_downsampling_block_0",
            f"before:{name}_downsampling_block_1",
            f"before:{name}_downsampling_block_2",
            "before:",
        ),
        weights_file=f"{name}_notop.h5",
        has_preprocessing_argument=True,
    )


def _densenet(depth, blocks):
    return EncoderSpec(
        application=f"DenseNet{depth}",
        endpoints=tuple(
            f"conv{stage}_block{last}_concat" for stage, last in enumerate(blocks, start=2)
        ),
        weights_file=f"densenet{depth}_weights_tf_dim_ordering_tf_kernels_notop.h5",
    )


APPLICATIONS = {
    "efficientnet_b0": _efficientnet(0, "2b", "3b", "5c", "7a_project_bn"),
    "efficientnet_b1": _efficientnet(1, "2c", "3c", "5d", "7b_add"),
    "efficientnet_b2": _efficientnet(2, "2c", "3c", "5d", "7b_add"),
    "efficientnet_b3": _efficientnet(3, "2c", "3c", "5e", "7b_add"),
    "efficientnet_b4": _efficientnet(4, "2d", "3d", "5f", "7b_add"),
    "efficientnet_b5": _efficientnet(5, "2e", "3e", "5g", "7c_add"),
    "efficientnet_b6": _efficientnet(6, "2f", "3f", "5h", "7c_add"),
    "efficientnet_b7": _efficientnet(7, "2g", "3g", "5j", "7d_add"),
    "efficientnet_v2_b0": _efficientnet_v2("B0", "2b", "3b", "5e", "6h"),
    "efficientnet_v2_b1": _efficientnet_v2("B1", "2c", "3c", "5f", "6i"),
    "efficientnet_v2_b2": _efficientnet_v2("B2", "2c", "3c", "5f", "6j"),
    "efficientnet_v2_b3": _efficientnet_v2("B3", "2c", "3c", "5g", "6l"),
    "efficientnet_v2_s": _efficientnet_v2("S", "2d", "3d", "5i", "6o"),
    "efficientnet_v2_m": _efficientnet_v2("M", "2e", "3e", "5n", "7e"),
    "efficientnet_v2_l": _efficientnet_v2("L", "2g", "3g", "5s", "7g"),
    "resnet50": _resnet(50, (3, 4, 6, 3)),
    "resnet101": _resnet(101, (3, 4, 23, 3)),
    "resnet152": _resnet(152, (3, 8, 36, 3)),
    "mobilenet_v2": EncoderSpec(
        application="MobileNetV2",
        endpoints=("block_2_add", "block_5_add", "block_12_add", "block_16_project_BN"),
        weights_file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        scale=1 / 127.5,
        offset=-1.0,
        same_padding=True,
    ),
    "mobilenet_v3_small": _mobilenet_v3("Small", "_project_bn", "_2_add", "_7_add", "_10_add"),
    "mobilenet_v3_large": _mobilenet_v3("Large", "_2_add", "_5_add", "_11_add", "_14_add"),
    "convnext_tiny": _convnext("Tiny"),
    "convnext_small": _convnext("Small"),
    "convnext_base": _convnext("Base"),
    "convnext_large": _convnext("Large"),
    "convnext_xlarge": _convnext("XLarge"),
    "densenet121": _densenet(121, (6, 12, 24, 16)),
    "densenet169": _densenet(169, (6, 12, 32, 32)),
    "densenet201": _densenet(201, (6, 12, 48, 32)),
}
