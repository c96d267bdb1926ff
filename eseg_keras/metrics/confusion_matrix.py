"""The confusion matrix that the metrics are computed from."""

import keras
import numpy as np
from keras import ops

# Counts are kept as high * 2**20 + low in two int32 variables: exact beyond 2**31 on every
# backend (JAX has no int64 by default; Cityscapes' training set alone has 6.2e9 pixels), and the
# low parts of 2,000 replicas still add up within int32.
_BASE = 2**20


@keras.saving.register_keras_serializable(package="eseg_keras")
class ConfusionMatrix(keras.metrics.Metric):
    """Count pixels by (label, prediction).

    Args:
        num_classes: Number of classes.
        ignore_label: Label of pixels to leave out. Defaults to 255.
        name: Name of the metric.

    Call arguments:
        y_true: Integer masks [B, H, W] or [B, H, W, 1]; labels outside the classes are left out.
        y_pred: Logits [B, H, W, C], or label maps [B, H, W] of an integer dtype; pixels whose
            prediction is outside the classes are left out.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.metrics import ConfusionMatrix
    >>> metric = ConfusionMatrix(num_classes=2)
    >>> metric.update_state(np.array([[[0, 0, 1, 255]]]), np.array([[[0, 1, 1, 1]]]))
    >>> metric.confusion_matrix().tolist()
    [[1, 1], [0, 1]]
    """

    def __init__(self, num_classes: int, ignore_label: int = 255, name: str = "confusion_matrix"):
        super().__init__(name=name)
        self.num_classes = num_classes
        self.ignore_label = ignore_label
        shape = (num_classes**2,)
        self.low = self.add_variable(shape, "zeros", dtype="int32", name="low")
        self.high = self.add_variable(shape, "zeros", dtype="int32", name="high")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch's counts.

        Args:
            y_true: Integer masks [B, H, W] or [B, H, W, 1].
            y_pred: Logits [B, H, W, C] or integer label maps [B, H, W].
            sample_weight: Not used: a pixel counts once.
        """
        if "int" not in keras.backend.standardize_dtype(y_pred.dtype):
            y_pred = ops.argmax(y_pred, axis=-1)
        labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        predictions = ops.reshape(ops.cast(y_pred, "int32"), (-1,))
        valid = (labels != self.ignore_label) & (labels >= 0) & (labels < self.num_classes)
        valid = valid & (predictions >= 0) & (predictions < self.num_classes)
        # Pixels to leave out fall into one more cell, which is cut off.
        cells = ops.where(valid, labels * self.num_classes + predictions, self.num_classes**2)
        counts = _count(cells, self.num_classes**2 + 1)[:-1]
        low = self.low + counts
        self.high.assign(self.high + low // _BASE)
        self.low.assign(low % _BASE)

    def confusion_matrix(self) -> np.ndarray:
        """Return the exact counts.

        Returns:
            NumPy int64 [C, C]; rows are labels, columns predictions.
        """
        low, high = (ops.convert_to_numpy(v).astype("int64") for v in (self.low, self.high))
        return (high * _BASE + low).reshape(self.num_classes, self.num_classes)

    def float_matrix(self):
        """Return the counts as a float32 tensor [C, C], for results inside a compiled step."""
        low, high = ops.cast(self.low, "float32"), ops.cast(self.high, "float32")
        return ops.reshape(high * _BASE + low, (self.num_classes, self.num_classes))

    def result(self):
        """Return the counts as a float32 tensor [C, C]."""
        return self.float_matrix()

    def get_config(self):
        """Return the constructor arguments as a dict of plain types."""
        return {
            "name": self.name,
            "num_classes": self.num_classes,
            "ignore_label": self.ignore_label,
        }


def _count(cells, size):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # 25 times faster on CPUs than a segment sum, and with a constant size XLA compiles it.
        return tf.raw_ops.DenseBincount(
            input=cells, size=tf.constant(size), weights=tf.constant([], "int32")
        )
    return ops.segment_sum(ops.ones_like(cells), cells, num_segments=size)
