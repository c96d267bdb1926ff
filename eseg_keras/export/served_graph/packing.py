"""Convolutions that pack columns into channels or filters, for ONNX Runtime on CPUs.

On CPUs with AVX-512, ONNX Runtime computes convolutions in [B, C, H, W] and in blocks of 16
channels. The first layers of a network have the largest feature maps and the fewest channels, so
much time is lost there: images must be transposed, and a convolution with 8 filters takes as long
as one with 16. The layers of this module avoid both.
"""

import keras
import numpy as np
from keras import layers, ops

# Convolutions with at most this number of filters are packed: two columns then fit into a block.
MOST_FILTERS = 8


class CenterRows(layers.Layer):
    """Cast images [B, H, W, C] to float32, subtract one constant per channel, and join each row.

    The output is [B, H, W * C, 1], which has the same order in memory as the images.
    """

    def __init__(self, means: list[float], **kwargs):
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.means = [float(mean) for mean in means]

    def call(self, images):
        """Return the centred rows."""
        height, width, channels = ops.shape(images)[1:]
        rows = ops.reshape(ops.cast(images, "float32"), (-1, 1, height, width * channels))
        rows = rows - ops.tile(ops.convert_to_tensor(self.means, "float32"), (width,))
        # Converters remove this transpose, because convolutions take [B, C, H, W] in ONNX.
        return ops.transpose(rows, (0, 2, 3, 1))

    def compute_output_spec(self, images):
        """Return the shape and dtype of the output."""
        batch, height, width, channels = images.shape
        width = None if width is None else width * channels
        return keras.KerasTensor((batch, height, width, 1), dtype="float32")


class RowConv(layers.Layer):
    """Apply a `Conv2D` with `padding="same"` to the rows of `CenterRows`, without a transpose.

    A kernel [k, k, C, filters] with stride s is the kernel [k, k * C, 1, filters] with strides
    (s, s * C) on rows. Inputs are rows [B, H, W * C, 1]; the output is that of the `Conv2D`.
    """

    def __init__(self, convolution: layers.Conv2D, **kwargs):
        super().__init__(**kwargs)
        self.kernel, self.bias = _kernel_and_bias(convolution)
        self.strides = convolution.strides
        self.activation = convolution.activation

    def call(self, rows):
        """Return the output of the convolution."""
        high, wide, channels, filters = self.kernel.shape
        height, width = ops.shape(rows)[1:3]
        above_below = _same_padding(height, high, self.strides[0])
        left_right = _same_padding(width // channels, wide, self.strides[1])
        padding = (above_below, [channels * n for n in left_right])
        kernel = self.kernel.reshape(high, wide * channels, 1, filters)
        strides = (self.strides[0], self.strides[1] * channels)
        return self.activation(_convolve(rows, kernel, self.bias, strides, padding))

    def compute_output_spec(self, rows):
        """Return the shape and dtype of the output."""
        channels, filters = self.kernel.shape[2:]
        height, width = rows.shape[1:3]
        width = None if width is None else width // channels
        sizes = [
            None if n is None else -(-n // stride)
            for n, stride in zip((height, width), self.strides, strict=True)
        ]
        return keras.KerasTensor((rows.shape[0], *sizes, filters), dtype=self.compute_dtype)


class PackingConv(layers.Layer):
    """Apply a 3x3 `Conv2D` of stride 1, and pack pairs of its output columns into channels.

    The output for [B, H, W, C] is [B, H, W / 2, 2 * filters] if W is known and even, else that of
    the `Conv2D`, [B, H, W, filters].
    """

    def __init__(self, convolution: layers.Conv2D, **kwargs):
        super().__init__(**kwargs)
        self.kernel, self.bias = _kernel_and_bias(convolution)

    def call(self, x):
        """Return the output of the convolution."""
        if not self._packs(x):
            return _convolve(x, self.kernel, self.bias, 1)
        kernel = np.concatenate(
            [np.pad(self.kernel, [(0, 0), (n, 1 - n), (0, 0), (0, 0)]) for n in (0, 1)], axis=-1
        )
        return _convolve(x, kernel, np.tile(self.bias, 2), (1, 2), [(1, 1), (1, 1)])

    def compute_output_spec(self, x):
        """Return the shape and dtype of the output."""
        batch, height, width, _ = x.shape
        filters = self.kernel.shape[-1]
        packed = (width // 2, 2 * filters) if self._packs(x) else (width, filters)
        return keras.KerasTensor((batch, height, *packed), dtype=self.compute_dtype)

    def _packs(self, x):
        return x.shape[2] is not None and x.shape[2] % 2 == 0


class PackedConv(layers.Layer):
    """Apply a 3x3 `Conv2D` of stride 2 to the output of a `PackingConv`.

    The input may have passed an elementwise activation. The output is that of the `Conv2D`.
    """

    def __init__(self, convolution: layers.Conv2D, **kwargs):
        super().__init__(**kwargs)
        self.kernel, self.bias = _kernel_and_bias(convolution)
        self.activation = convolution.activation

    def call(self, x):
        """Return the output of the convolution."""
        channels, filters = self.kernel.shape[2:]
        if x.shape[-1] == channels:
            return self.activation(_convolve(x, self.kernel, self.bias, 2))
        # Of an even number of columns, an output column takes both columns of one pair and the
        # first column of the next pair.
        first = self.kernel[:, :2].reshape(3, 1, 2 * channels, filters)
        second = np.concatenate([self.kernel[:, 2:], np.zeros_like(self.kernel[:, 2:])], axis=2)
        kernel = np.concatenate([first, second], axis=1)
        padding = (_same_padding(ops.shape(x)[1], 3, 2), (0, 1))
        return self.activation(_convolve(x, kernel, self.bias, (2, 1), padding))

    def compute_output_spec(self, x):
        """Return the shape and dtype of the output."""
        channels, filters = self.kernel.shape[2:]
        batch, height, width, packed = x.shape
        height = None if height is None else -(-height // 2)
        if packed == channels:
            width = None if width is None else -(-width // 2)
        return keras.KerasTensor((batch, height, width, filters), dtype=self.compute_dtype)


def _kernel_and_bias(convolution):
    kernel, *bias = convolution.get_weights()
    return kernel, bias[0] if bias else np.zeros(kernel.shape[-1], kernel.dtype)


def _same_padding(size, kernel, stride):
    """Return the padding (before, after) of `padding="same"`, as integers or tensors."""
    # Of positive integers only, because ONNX rounds the quotient of a negative integer up.
    total = (size - 1) // stride * stride + kernel - size
    total = max(total, 0) if isinstance(size, int) else ops.maximum(total, 0)
    return total // 2, total - total // 2


def _convolve(x, kernel, bias, strides, padding=None):
    """Convolve with `padding` ((above, below), (left, right)), by default that of "same"."""
    if padding:
        x = ops.pad(x, [(0, 0), *padding, (0, 0)])
    kernel, bias = ops.cast(kernel, x.dtype), ops.cast(bias, x.dtype)
    return ops.conv(x, kernel, strides, "valid" if padding else "same") + bias
