"""Upsampling and argmax of logits in one layer."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from eseg_keras.layers.resize import resize


class CellArgmax(keras.layers.Layer):
    """Upsample logits bilinearly and take the argmax, but interpolate only near boundaries.

    A cell is a position of the input logits. The logits of a pixel are a weighted mean of the
    logits of the four nearest cells. If all four cells have the same argmax, it is also the argmax
    of the pixel; only other pixels are interpolated. All logits are upsampled by `resize` if
    `stride` is `None`, if the image size is not `stride` times the size of the logits, and on
    backends other than TensorFlow.

    If `classes_first`, the class axis is the first or second axis, instead of the last, of the
    tensors whose argmax is computed, unless all logits are upsampled. The argmax is then ten times
    as fast in OpenVINO, and a little slower in TensorFlow.

    Inputs are logits [B, h, w, num_classes] of at most 256 classes, and images [B, H, W, ...], of
    which only the size is used. The output is labels, uint8 [B, H, W]; if the largest logits are
    equal, the label is the lowest of their class ids.
    """

    def __init__(
        self,
        stride: int | None,
        resize: Callable = resize,
        classes_first: bool = False,
        **kwargs,
    ):
        super().__init__(dtype="float32", **kwargs)
        self.stride = stride
        self.resize = resize
        self.classes_first = classes_first

    def call(self, cells, images):
        """Return the labels."""
        if self.stride is None or keras.backend.backend() != "tensorflow":
            # JAX would have to know the number of interpolated blocks at compile time.
            return self._in_full(cells, images)
        import tensorflow as tf

        def by_shortcut():
            return _shortcut(cells, self.stride, self.classes_first)

        def in_full():
            return self._in_full(cells, images)

        if None not in (*cells.shape[1:3], *images.shape[1:3]):
            is_whole = tuple(images.shape[1:3]) == tuple(self.stride * n for n in cells.shape[1:3])
            return by_shortcut() if is_whole else in_full()
        is_whole = tf.reduce_all(tf.shape(images)[1:3] == self.stride * tf.shape(cells)[1:3])
        return tf.cond(is_whole, by_shortcut, in_full)

    def _in_full(self, cells, images):
        return _argmax(self.resize(cells, ops.shape(images)[1:3]))

    def compute_output_spec(self, cells, images):
        """Return the shape and dtype of the output."""
        return keras.KerasTensor((cells.shape[0], *images.shape[1:3]), dtype="uint8")


def _argmax(logits, axis=-1):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # Keras' argmax takes another pass over all logits, to distinguish -0.0 from 0.0.
        return tf.cast(tf.argmax(logits, axis=axis, output_type=tf.int32), tf.uint8)
    return ops.cast(ops.argmax(logits, axis=axis), "uint8")


def _shortcut(cells, stride, classes_first):
    """Return labels, uint8 [B, h * stride, w * stride], of TensorFlow logits [B, h, w, classes]."""
    # A block is the `stride` x `stride` pixels between the centres of four cells. The border cells
    # are repeated, which gives (h + 1) x (w + 1) blocks; the result is cropped to the image size.
    import tensorflow as tf

    batch, height, width = tf.unstack(tf.shape(cells)[:3])
    logits = ops.concatenate([cells[:, :1], cells, cells[:, -1:]], axis=1)
    logits = ops.concatenate([logits[:, :, :1], logits, logits[:, :, -1:]], axis=2)
    flat = tf.reshape(logits, (-1, cells.shape[-1]))
    best = _argmax(tf.transpose(flat), axis=0) if classes_first else _argmax(flat)
    best = tf.reshape(best, (batch, height + 2, width + 2))
    corners = [best[:, :-1, :-1], best[:, :-1, 1:], best[:, 1:, :-1], best[:, 1:, 1:]]
    agree = (corners[0] == corners[1]) & (corners[0] == corners[2]) & (corners[0] == corners[3])
    # Each block gets the label of its first corner; `maximum` is the fastest way to broadcast it.
    blocks = tf.maximum(tf.reshape(corners[0], (-1, 1)), tf.zeros((1, stride**2), tf.uint8))

    differing = tf.where(tf.reshape(~agree, [-1]))
    index = tf.cast(differing[:, 0], tf.int32)
    # Index of a block's upper left cell among all cells: each row has one more cell than blocks.
    row = index // (width + 1)
    image = row // (height + 1)
    first = index + row + image * (width + 2)
    four = tf.stack([tf.gather(flat, first + step) for step in (0, 1, width + 2, width + 3)])
    shape = (stride**2, -1, cells.shape[-1])
    if classes_first:
        four, shape = tf.transpose(four, (0, 2, 1)), (stride**2, cells.shape[-1], -1)
    # Interpolate all blocks with one matrix product, [pixels, 4] x [4, blocks * classes].
    mixed = tf.matmul(_corner_weights(stride), tf.reshape(four, (4, -1)))
    labels = tf.transpose(_argmax(tf.reshape(mixed, shape), axis=1 if classes_first else 2))

    blocks = tf.tensor_scatter_nd_update(blocks, differing, labels)
    blocks = tf.reshape(blocks, (batch, height + 1, width + 1, stride, stride))
    blocks = tf.transpose(blocks, (0, 1, 3, 2, 4))
    labels = tf.reshape(blocks, (batch, (height + 1) * stride, (width + 1) * stride))
    start, end = stride - stride // 2, stride // 2
    return labels[:, start : (height + 1) * stride - end, start : (width + 1) * stride - end]


def _corner_weights(stride):
    """Return the weights of the four corners for each pixel of a block, float32 [stride^2, 4]."""
    position = (np.arange(stride) + stride // 2 - (stride - 1) / 2) / stride
    one = np.stack([1 - position, position], axis=1)
    return np.einsum("ya,xb->yxab", one, one).reshape(stride**2, 4).astype("float32")
