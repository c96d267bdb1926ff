"""The last step: from logits of coarse cells to the label of every pixel."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from eseg_keras.layers.resize import resize


class CellArgmax(keras.layers.Layer):
    """Upsample logits bilinearly and take the best class, without upsampling most of them.

    A pixel lies between the centres of four cells, and its logits are a weighted mean of theirs.
    Where the four have the same best class, the mean has it as well, so the pixel's label is known.
    Only where they differ, the logits are interpolated. Beyond the outermost centres the cells at
    the border are repeated, as a bilinear resize with half-pixel centres does.

    The short cut needs sizes that `stride` divides; others are resized in full.

    Args:
        stride: Pixels a cell, in height and width, or `None` to resize in full always.
        resize: Function of logits and a size that resizes in full.
        **kwargs: Keras layer arguments such as `name`.

    Call arguments:
        cells: Float tensor [B, h, w, num_classes], of at most 256 classes.
        images: Tensor [B, H, W, ...] that gives the size; its values are not read.

    Returns:
        uint8 labels [B, H, W]. Of classes that are equally good, the first.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.export.served_graph.argmax import CellArgmax
    >>> cells = np.eye(3, dtype="float32")[[[[0, 2]]]]
    >>> np.asarray(CellArgmax(4)(cells, np.zeros((1, 4, 8, 3))))[0, 0].tolist()
    [0, 0, 0, 0, 2, 2, 2, 2]
    """

    def __init__(self, stride: int | None, resize: Callable = resize, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.stride = stride
        self.resize = resize

    def call(self, cells, images):
        """Return the labels."""
        if self.stride is None or keras.backend.backend() != "tensorflow":
            # JAX's compiler would need to know how many cells differ.
            return _argmax(self.resize(cells, ops.shape(images)[1:3]))
        return self._call_tensorflow(cells, images)

    def _call_tensorflow(self, cells, images):
        import tensorflow as tf

        def in_full():
            return _argmax(self.resize(cells, ops.shape(images)[1:3]))

        def by_short_cut():
            return _short_cut(cells, self.stride)

        sizes = (*cells.shape[1:3], *images.shape[1:3])
        if None not in sizes:
            is_whole = all(s == self.stride * n for n, s in zip(sizes[:2], sizes[2:], strict=True))
            return by_short_cut() if is_whole else in_full()
        is_whole = tf.reduce_all(tf.shape(images)[1:3] == self.stride * tf.shape(cells)[1:3])
        return tf.cond(is_whole, by_short_cut, in_full)

    def compute_output_spec(self, cells, images):
        """Return the shape and dtype of the output."""
        return keras.KerasTensor((cells.shape[0], *images.shape[1:3]), dtype="uint8")


def _argmax(logits):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # Keras' own tells -0.0 from 0.0, in one more pass over all logits.
        return tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32), tf.uint8)
    return ops.cast(ops.argmax(logits, axis=-1), "uint8")


def _short_cut(cells, stride):
    """Labels [B, h * stride, w * stride], uint8, of TensorFlow logits [B, h, w, classes].

    Work is done by blocks: the `stride` x `stride` pixels between the centres of four cells. With
    one cell repeated around the border there are (h + 1) x (w + 1) of them, of which the outermost
    are cropped in the end.
    """
    import tensorflow as tf

    batch, height, width = tf.unstack(tf.shape(cells)[:3])
    logits = _repeat_border(cells)
    best = _argmax(logits)
    corners = [best[:, :-1, :-1], best[:, :-1, 1:], best[:, 1:, :-1], best[:, 1:, 1:]]
    agree = (corners[0] == corners[1]) & (corners[0] == corners[2]) & (corners[0] == corners[3])
    # A maximum is what broadcasts fastest.
    blocks = tf.maximum(tf.reshape(corners[0], (-1, 1)), tf.zeros((1, stride**2), tf.uint8))

    differing = tf.where(tf.reshape(~agree, [-1]))
    index = tf.cast(differing[:, 0], tf.int32)
    # Position of the upper left corner among all cells, of which a row has one more than of blocks.
    row = index // (width + 1)
    image = row // (height + 1)
    first = index + row + image * (width + 2)
    flat = tf.reshape(logits, (-1, cells.shape[-1]))
    four = tf.stack([tf.gather(flat, first + step) for step in (0, 1, width + 2, width + 3)])
    # One product [pixels, 4] x [4, blocks * classes].
    mixed = tf.matmul(_corner_weights(stride), tf.reshape(four, (4, -1)))
    mixed = tf.reshape(mixed, (stride**2, -1, cells.shape[-1]))
    labels = tf.transpose(_argmax(mixed))

    blocks = tf.tensor_scatter_nd_update(blocks, differing, labels)
    blocks = tf.reshape(blocks, (batch, height + 1, width + 1, stride, stride))
    blocks = tf.transpose(blocks, (0, 1, 3, 2, 4))
    labels = tf.reshape(blocks, (batch, (height + 1) * stride, (width + 1) * stride))
    start, end = stride - stride // 2, stride // 2
    return labels[:, start : (height + 1) * stride - end, start : (width + 1) * stride - end]


def _repeat_border(x):
    x = ops.concatenate([x[:, :1], x, x[:, -1:]], axis=1)
    return ops.concatenate([x[:, :, :1], x, x[:, :, -1:]], axis=2)


def _corner_weights(stride):
    """Weight of the four corners for every pixel of a block, [stride * stride, 4], float32."""
    position = (np.arange(stride) + stride // 2 - (stride - 1) / 2) / stride
    one = np.stack([1 - position, position], axis=1)
    return np.einsum("ya,xb->yxab", one, one).reshape(stride**2, 4).astype("float32")
