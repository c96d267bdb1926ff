"""Matrix products that resize bilinearly, or that upsample and sum the levels of a pyramid."""

import keras
import numpy as np
from keras import ops

from eseg_keras.layers import Resize
from eseg_keras.layers.resize import resize


class LevelSum(keras.layers.Layer):
    """Sum of pyramid levels, weighted by `scalars` and upsampled bilinearly to the first level.

    Bilinear upsampling consists of two matrix products, one along the width and one along the
    height. Each level but the first is upsampled along the width. Then a single product upsamples
    these levels along the height and sums them, and the first level is added. This layer replaces
    one `Resize` per level and the `WeightedFusion` after them.

    The input is a list of float tensors [B, h_l, w_l, C], the finest level first; the output is
    [B, h_0, w_0, C].
    """

    def __init__(self, scalars: list[float], channels_first: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.scalars = [float(scalar) for scalar in scalars]
        self.channels_first = channels_first

    def call(self, levels):
        """Return the weighted sum."""
        first, *others = levels
        height, width = _sizes(first)
        scaled = first if self.scalars[0] == 1 else first * self.scalars[0]
        if not others:
            return scaled
        columns = [
            ops.cast(scalar * bilinear_matrix(width, _sizes(x)[1]), first.dtype)
            for scalar, x in zip(self.scalars[1:], others, strict=True)
        ]
        rows = [bilinear_matrix(height, _sizes(x)[0]) for x in others]
        is_fixed = all(isinstance(matrix, np.ndarray) for matrix in rows)
        rows = ops.cast((np if is_fixed else ops).concatenate(rows, axis=1), first.dtype)
        channels = first.shape[-1]
        if self.channels_first:
            wide = [
                ops.matmul(ops.transpose(x, (0, 3, 1, 2)), ops.transpose(matrix))
                for x, matrix in zip(others, columns, strict=True)
            ]
            total = ops.transpose(ops.matmul(rows, ops.concatenate(wide, axis=2)), (0, 2, 3, 1))
        else:
            wide = [ops.matmul(matrix, x) for x, matrix in zip(others, columns, strict=True)]
            wide = ops.concatenate(wide, axis=1)
            wide = ops.reshape(wide, (-1, _sizes(wide)[0], width * channels))
            total = ops.reshape(ops.matmul(rows, wide), (-1, height, width, channels))
        return scaled + total

    def compute_output_spec(self, levels):
        """Return the shape and dtype of the output."""
        return keras.KerasTensor(levels[0].shape, dtype=self.compute_dtype)


def bilinear_matrix(size: int, size_in: int):
    """Return the float32 matrix [size, size_in] that resizes one axis, with half-pixel centres.

    The matrix is a NumPy array if both sizes are Python integers, else a tensor.
    """
    if isinstance(size, int) and isinstance(size_in, int):
        position = np.clip((np.arange(size) + 0.5) * size_in / size - 0.5, 0, size_in - 1)
        distance = np.abs(position[:, None] - np.arange(size_in))
        return np.maximum(1 - distance, 0).astype("float32")
    scale = ops.cast(size_in, "float32") / ops.cast(size, "float32")
    position = (ops.arange(size, dtype="float32") + 0.5) * scale - 0.5
    position = ops.clip(position, 0.0, ops.cast(size_in, "float32") - 1)
    return ops.relu(1 - ops.abs(position[:, None] - ops.arange(size_in, dtype="float32")))


def resize_by_products(x, size):
    """Resize [B, h, w, C] bilinearly, with matrix products for fixed non-integer scale factors.

    For fixed sizes, ONNX converters write the scale factor instead of the output size. A runtime
    that computes the output size from a non-integer factor may be off by one pixel.
    """
    (height, width), (height_in, width_in) = size, _sizes(x)
    is_fixed = all(isinstance(n, int) for n in (height, width, height_in, width_in))
    if not is_fixed or (height % height_in == 0 and width % width_in == 0):
        return resize(x, size)
    rows = ops.cast(bilinear_matrix(height, height_in), x.dtype)
    columns = ops.cast(bilinear_matrix(width, width_in).T, x.dtype)
    x = ops.matmul(rows, ops.matmul(ops.transpose(x, (0, 3, 1, 2)), columns))
    return ops.transpose(x, (0, 2, 3, 1))


class ResizeByProducts(Resize):
    """A `Resize` layer that calls `resize_by_products`."""

    def call(self, x, like):
        """Return `x` resized to the height and width of `like`."""
        return resize_by_products(x, _sizes(like))


def _sizes(x):
    return ops.shape(x)[1:3]
