"""Scaling of pixel values to the input range of an encoder."""

import keras
from keras import ops

# Mean and standard deviation of ImageNet's images, RGB of 0..1.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
# image * scale + offset == (image / 255 - mean) / std, in RGB order.
IMAGENET_SCALE = [1 / (255 * std) for std in _STD]
IMAGENET_OFFSET = [-mean / std for mean, std in zip(_MEAN, _STD, strict=True)]


@keras.saving.register_keras_serializable(package="eseg_keras")
class ImageScaling(keras.layers.Layer):
    """Scale images of 0..255 by constants: `image * scale + offset` per channel.

    The layer computes in float32 under every dtype policy, because half precision would round pixel
    values; the next layers cast to their own dtype.

    Args:
        scale: One float, or one per channel in the order of the output.
        offset: One float, or one per channel in the order of the output.
        reverse_channels: Reverse the channel order first (RGB to BGR), as networks converted from
            Caffe expect. Defaults to `False`.
        **kwargs: Keras layer arguments such as `name`.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.layers import ImageScaling
    >>> float(ImageScaling(1 / 127.5, -1.0)(np.full((1, 2, 2, 3), 255, "uint8"))[0, 0, 0, 0])
    1.0
    """

    def __init__(self, scale, offset, reverse_channels: bool = False, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset
        self.reverse_channels = reverse_channels
        # Inputs may be integers or half precision; `call` casts them itself.
        self.autocast = False

    def call(self, images):
        """Return float32 images of the same shape [B, H, W, C]."""
        images = ops.cast(images, "float32")
        if self.reverse_channels:
            images = ops.flip(images, axis=-1)
        return images * ops.convert_to_tensor(self.scale, "float32") + ops.convert_to_tensor(
            self.offset, "float32"
        )

    def compute_output_shape(self, input_shape):
        """Return the shape of the output."""
        return input_shape

    def get_config(self):
        """Return the constructor arguments as a dict of plain types."""
        config = super().get_config()
        config.update(scale=self.scale, offset=self.offset, reverse_channels=self.reverse_channels)
        return config


def for_channels(constants: float | list[float], channels: int) -> float | list[float]:
    """Return `constants` for 3 channels, or their mean for another number of channels."""
    if channels == 3 or isinstance(constants, int | float):
        return constants
    return sum(constants) / len(constants)
