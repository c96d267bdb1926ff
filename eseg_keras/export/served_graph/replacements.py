"""Faster replacements of layers, with the same outputs."""

import functools
import operator

import keras
from keras import ops

from eseg_keras.layers import NearestUpsampling


class CenterImages(keras.layers.Layer):
    """Cast images [B, H, W, C] to float32 and subtract one constant per channel.

    The scale of `ImageScaling` can be folded into the next convolution. Its offset cannot be folded
    into the bias, because the convolution pads the scaled image with zeros, which are the mean
    colour.
    """

    def __init__(self, means: list[float], channels_first: bool = False, **kwargs):
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.means = [float(mean) for mean in means]
        self.channels_first = channels_first

    def call(self, images):
        """Return the centred images."""
        means = ops.convert_to_tensor(self.means, "float32")
        if not self.channels_first:
            return ops.cast(images, "float32") - means
        # Transpose before the cast: bytes are faster. Converters remove the last transpose.
        images = ops.cast(ops.transpose(images, (0, 3, 1, 2)), "float32")
        return ops.transpose(images - means[:, None, None], (0, 2, 3, 1))

    def compute_output_spec(self, images):
        """Return the shape and dtype of the output."""
        return keras.KerasTensor(images.shape, dtype="float32")


class ScaledSum(keras.layers.Layer):
    """Weighted sum of a list of feature maps [B, H, W, C]; multiplications by 1 are skipped."""

    def __init__(self, scalars: list[float], **kwargs):
        super().__init__(**kwargs)
        self.scalars = [float(scalar) for scalar in scalars]

    def call(self, inputs):
        """Return the weighted sum of the inputs."""
        # A chain of binary additions, because int8 converters keep an n-ary addition in float.
        return functools.reduce(operator.add, map(_times, inputs, self.scalars))

    def compute_output_spec(self, inputs):
        """Return the shape and dtype of the output."""
        return keras.KerasTensor(inputs[0].shape, dtype=self.compute_dtype)


class NearestResize(NearestUpsampling):
    """Multiply a feature map by a constant, and upsample it to the size of a finer level.

    The replaced layer repeats pixels and crops, because these operations have gradients under XLA.
    For H = 2h and H = 2h - 1, nearest-neighbour resizing gives the same result if pixel `i` is
    taken from `floor(i * h / H)`.
    """

    def __init__(self, scalar: float, **kwargs):
        super().__init__(**kwargs)
        self.scalar = float(scalar)

    def call(self, x, like):
        """Return `x`, scaled and upsampled to the height and width of `like`."""
        x = _times(x, self.scalar)
        if keras.backend.backend() != "tensorflow":
            return super().call(x, like)
        import tensorflow as tf

        size = wanted = ops.shape(like)[1:3]
        if all(isinstance(n, int) for n in (*size, *x.shape[1:3])):
            # For fixed sizes, ONNX files store the scale factor: 2 is exact, 5 / 3 is not.
            size = (2 * x.shape[1], 2 * x.shape[2])
        x = tf.raw_ops.ResizeNearestNeighbor(
            images=x, size=size, align_corners=False, half_pixel_centers=False
        )
        return x if size == wanted else x[:, : wanted[0], : wanted[1]]


def _times(x, scalar):
    return x if scalar == 1 else x * scalar
