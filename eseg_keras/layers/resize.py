"""Bilinear resizing, and upsampling by repetition, inside networks."""

import keras
from keras import ops


def resize(x, size):
    """Resize a batch [B, h, w, C] bilinearly to `size` (height, width), with half-pixel centres.

    The sizes are Python integers or integer tensors. On the TensorFlow backend, `tf.image.resize`
    is called, because `keras.ops.image.resize` (Keras 3.14.0 to 3.15.1) fails if the size is known
    only at run time: in SavedModel and LiteRT exports, and for the second image size in `predict`.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # `tf.image.resize` returns float32 for half-precision tensors.
        return tf.cast(tf.image.resize(x, size, method="bilinear"), x.dtype)
    return ops.image.resize(x, size, interpolation="bilinear", data_format="channels_last")


@keras.saving.register_keras_serializable(package="eseg_keras")
class Resize(keras.layers.Layer):
    """Bilinear resize of a feature map to the height and width of another tensor.

    Sizes may be static or dynamic. The resize uses half-pixel centres and no antialiasing, because
    feature maps are only upsampled (ESeg, section 3.1).

    Call arguments:
        x: Float tensor [B, h, w, C].
        like: Tensor [B, H, W, ...] of the target size; its values are not used.

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


@keras.saving.register_keras_serializable(package="eseg_keras")
class NearestUpsampling(keras.layers.Layer):
    """Double height and width by repetition, then crop to the size of the level below.

    In a pyramid with SAME padding, each level is half the size of the level below, rounded up, so
    the level below has 2h or 2h - 1 rows. Doubling and cropping aligns row i with rows 2i and
    2i + 1, as the stride-2 layers do; a direct resize to an odd size would depend on the rounding
    of each backend.

    Call arguments:
        x: Float tensor [B, h, w, C].
        like: Tensor [B, H, W, ...] with H in {2h - 1, 2h} and W in {2w - 1, 2w}.

    Returns:
        Tensor [B, H, W, C].

    Example:

    >>> import numpy as np
    >>> from eseg_keras.layers import NearestUpsampling
    >>> tuple(NearestUpsampling()(np.zeros((1, 4, 6, 2)), np.zeros((1, 7, 12, 2))).shape)
    (1, 7, 12, 2)

    Reference:
        [EfficientDet: Scalable and Efficient Object Detection](https://arxiv.org/abs/1911.09070)
    """

    def call(self, x, like):
        """Return `x` doubled and cropped to the height and width of `like`."""
        # Repeat instead of resizing by nearest neighbour: XLA, which compiles training on GPUs and
        # TPUs, has no gradient for that resize.
        doubled = ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2)
        target = ops.shape(like)[1:3]
        if tuple(doubled.shape[1:3]) == tuple(like.shape[1:3]) and None not in like.shape[1:3]:
            return doubled
        return doubled[:, : target[0], : target[1], :]

    def compute_output_shape(self, x_shape, like_shape):
        """Return the shape of the output."""
        return (x_shape[0], *like_shape[1:3], x_shape[3])
