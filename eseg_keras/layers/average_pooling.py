"""Average pooling with the same result on every backend."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="eseg_keras")
class AveragePooling(keras.layers.AveragePooling2D):
    """3x3 stride-2 average pooling with SAME padding; padding is excluded from the averages.

    It computes P6 to P9 (ESeg, section 3.1). On the PyTorch backend, Keras 3.15 repeats the border
    if the padding is asymmetric, which changes the averages at the border; this layer returns the
    same averages as on TensorFlow and JAX.

    Args:
        **kwargs: Keras layer arguments such as `name`.

    Call arguments:
        x: Float tensor [B, H, W, C].

    Returns:
        Tensor [B, ceil(H / 2), ceil(W / 2), C].

    Example:

    >>> import numpy as np
    >>> from eseg_keras.layers import AveragePooling
    >>> tuple(AveragePooling()(np.ones((1, 5, 8, 2), "float32")).shape)
    (1, 3, 4, 2)
    """

    def __init__(self, **kwargs):
        super().__init__(3, 2, "same", **kwargs)

    def call(self, x):
        """Return the average of every window."""
        if keras.backend.backend() != "torch":
            return super().call(x)
        padding = [(0, 0), *(_same_padding(size) for size in x.shape[1:3]), (0, 0)]
        sums = ops.average_pool(ops.pad(x, padding), 3, 2)
        counts = ops.average_pool(ops.pad(ops.ones_like(x[:1, ..., :1]), padding), 3, 2)
        return sums / counts

    def get_config(self):
        """Return the constructor arguments as a dict of plain types."""
        config = super().get_config()
        for key in ("pool_size", "strides", "padding", "data_format"):
            config.pop(key)
        return config


def _same_padding(size: int) -> tuple[int, int]:
    total = max((-(-size // 2) - 1) * 2 + 3 - size, 0)
    return total // 2, total - total // 2
