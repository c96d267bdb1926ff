"""Layers that take the place of slower ones of the same function."""

import functools
import operator

import keras
from keras import ops

from eseg_keras.layers import NearestUpsampling


class CenterImages(keras.layers.Layer):
    """Cast images to float32 and subtract one constant a channel.

    Of `image * scale + offset`, the scale can move into the convolution that follows, and the
    offset into its bias, but for the border: zeros that pad a scaled image stand for the mean
    colour, not for black. So the mean colour is subtracted here, and the scale is left to the
    convolution.

    Args:
        means: One float a channel.
        channels_first: Compute in [B, C, H, W], for runtimes whose convolutions have that layout.
            Defaults to `False`.
        **kwargs: Keras layer arguments such as `name`.

    Call arguments:
        images: Tensor [B, H, W, C], uint8 or float.

    Returns:
        float32 tensor of that shape.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.export.served_graph.replacements import CenterImages
    >>> np.asarray(CenterImages([1.0, 2.5])(np.full((1, 1, 1, 2), 7, "uint8"))).ravel().tolist()
    [6.0, 4.5]
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
        # Bytes are moved, not floats; the way back falls out when a file is written.
        images = ops.cast(ops.transpose(images, (0, 3, 1, 2)), "float32")
        return ops.transpose(images - means[:, None, None], (0, 2, 3, 1))

    def compute_output_spec(self, images):
        """Return the shape and dtype of the output."""
        return keras.KerasTensor(images.shape, dtype="float32")


class ScaledSum(keras.layers.Layer):
    """Sum feature maps of one shape, each times a constant; nothing is multiplied by 1.

    Args:
        scalars: One float an input.
        **kwargs: Keras layer arguments such as `name`.

    Call arguments:
        inputs: List of float tensors of one shape [B, H, W, C].

    Returns:
        Tensor [B, H, W, C].

    Example:

    >>> import numpy as np
    >>> from eseg_keras.export.served_graph.replacements import ScaledSum
    >>> x = np.ones((1, 2, 2, 3), "float32")
    >>> float(ScaledSum([1.0, 0.5])([x, 3 * x])[0, 0, 0, 0])
    2.5
    """

    def __init__(self, scalars: list[float], **kwargs):
        super().__init__(**kwargs)
        self.scalars = [float(scalar) for scalar in scalars]

    def call(self, inputs):
        """Return the weighted sum of the inputs."""
        # A chain of additions: converters to int8 keep an n-ary addition in float.
        return functools.reduce(operator.add, map(_times, inputs, self.scalars))

    def compute_output_spec(self, inputs):
        """Return the shape and dtype of the output."""
        return keras.KerasTensor(inputs[0].shape, dtype=self.compute_dtype)


class NearestResize(NearestUpsampling):
    """Upsample to a finer level's size, times a constant, by one nearest-neighbour resize.

    The layer it replaces doubles by repetition and crops, which can be differentiated under XLA.
    A resize that rounds `i * h / H` down gives the same cells, for H of 2h and of 2h - 1.

    Args:
        scalar: Applied before upsampling, where the feature map is a quarter as large.
        **kwargs: Keras layer arguments such as `name`.

    Call arguments:
        x: Float tensor [B, h, w, C].
        like: Tensor [B, H, W, ...] with H in {2h - 1, 2h} and W in {2w - 1, 2w}.

    Returns:
        Tensor [B, H, W, C].

    Example:

    >>> import numpy as np
    >>> from eseg_keras.export.served_graph.replacements import NearestResize
    >>> x = np.arange(3, dtype="float32").reshape(1, 1, 3, 1)
    >>> np.asarray(NearestResize(2.0)(x, np.zeros((1, 1, 5, 1)))).ravel().tolist()
    [0.0, 0.0, 2.0, 2.0, 4.0]
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
            # To ONNX the ratio of fixed sizes is written: rather 2 than 5 / 3.
            size = (2 * x.shape[1], 2 * x.shape[2])
        x = tf.raw_ops.ResizeNearestNeighbor(
            images=x, size=size, align_corners=False, half_pixel_centers=False
        )
        return x if size == wanted else x[:, : wanted[0], : wanted[1]]


def _times(x, scalar):
    return x if scalar == 1 else x * scalar
