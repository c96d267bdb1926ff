"""The project's only image resize."""

import keras
from keras import ops


def resize(x, size):
    """Resize a batch [B, h, w, C] bilinearly to `size` (height, width), with half-pixel centres.

    `keras.ops.image.resize` fails for bilinear interpolation to a size known only at run time
    (Keras 3.14.0 to 3.15.1, TensorFlow backend: SavedModel and LiteRT export, and the second image
    size in `predict`), so TensorFlow's own resize is called there.

    Args:
        x: Float tensor [B, h, w, C].
        size: Height and width, Python integers or integer tensors.

    Returns:
        Tensor [B, height, width, C] of the dtype of `x`.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # Bilinear resizing of half-precision tensors returns float32.
        return tf.cast(tf.image.resize(x, size, method="bilinear"), x.dtype)
    return ops.image.resize(x, size, interpolation="bilinear", data_format="channels_last")


@keras.saving.register_keras_serializable(package="eseg_keras")
class Resize(keras.layers.Layer):
    """Bilinear resize of a feature map to the height and width of another tensor.

    Sizes may be static or dynamic; half-pixel centres, no antialiasing (the project only
    upsamples, ESeg section 3.1).

    Call arguments:
        x: Float tensor [B, h, w, C].
        like: Tensor [B, H, W, ...] that gives the target size; its values are not read.

    Returns:
        Tensor [B, H, W, C].

    Example:

    >>> import numpy as np
    >>> from eseg_keras.layers import Resize
    >>> tuple(Resize()(np.zeros((1, 4, 6, 2)), np.zeros((1, 15, 24, 3))).shape)
    (1, 15, 24, 2)

    Reference:
        [Revisiting Multi-Scale Feature Fusion for Semantic Segmentation](https://arxiv.org/abs/2203.12683)
    """

    def call(self, x, like):
        """Return `x` resized to the height and width of `like`."""
        return resize(x, ops.shape(like)[1:3])

    def compute_output_shape(self, x_shape, like_shape):
        """Return the shape of the output."""
        return (x_shape[0], *like_shape[1:3], x_shape[3])
