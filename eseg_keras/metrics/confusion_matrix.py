"""The confusion matrix that the metrics are computed from."""

import math

import keras
import numpy as np
from keras import ops

# Rows of the counts of `_pixel_counts`: labels below 0, one row for each label 0..255, labels above
# 255, and an ignore label outside 0..255.
BELOW, ABOVE = 0, 257
IGNORED = 258
NUM_ROWS = 259

# Counts are stored in two int32 variables, as high * 2**20 + low, which is exact beyond 2**31 on
# every backend (JAX has no int64 by default; Cityscapes' training set has 6.2e9 pixels). The sum of
# the low parts of 2,000 replicas fits into int32.
_BASE = 2**20

_ROW_NAMES = {BELOW: "below 0", ABOVE: "above 255"}


@keras.saving.register_keras_serializable(package="eseg_keras")
class ConfusionMatrix(keras.metrics.Metric):
    """Count pixels by (label, prediction).

    A label that is neither a class nor the ignore label is an error in the data, but a compiled
    step cannot raise errors. Such pixels are not in the matrix; they are counted by label, and
    `eseg_keras.trainer.LabelCheck` raises an error after the first batch, an epoch or an
    evaluation. Predictions that are not a class, which only label maps can contain, are also
    counted outside of the matrix.

    Args:
        num_classes: Number of classes, 1 to 256.
        ignore_label: Label of pixels to ignore. Defaults to 255.
        name: Name of the metric.

    Call arguments:
        y_true: Integer masks [B, H, W] or [B, H, W, 1].
        y_pred: Logits [B, H, W, C], or label maps [B, H, W] of an integer dtype.

    Raises:
        ValueError: If the number of classes is out of range.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.metrics import ConfusionMatrix
    >>> metric = ConfusionMatrix(num_classes=2)
    >>> metric.update_state(np.array([[[0, 0, 1, 7, 255]]]), np.array([[[0, 1, 1, 1, 1]]]))
    >>> metric.confusion_matrix().tolist()
    [[1, 1], [0, 1]]
    >>> metric.invalid_labels()
    {7: 1}
    """

    def __init__(self, num_classes: int, ignore_label: int = 255, name: str = "confusion_matrix"):
        super().__init__(name=name)
        if not 1 <= num_classes <= 256:
            raise ValueError(f"`num_classes` must be 1 to 256. Received: {num_classes}")
        self.num_classes = num_classes
        self.ignore_label = ignore_label
        # Rows of `_pixel_counts` for labels that are neither a class nor ignored.
        rows = range(BELOW, ABOVE + 1)
        self._invalid_rows = tuple(
            row for row in rows if not 1 <= row <= num_classes and row != _row_of(ignore_label)
        )
        # Number of cells of the matrix, one count per invalid label, and one count of the pixels
        # with an invalid prediction.
        shape = (num_classes**2 + len(self._invalid_rows) + 1,)
        self.low = self.add_variable(shape, "zeros", dtype="int32", name="low")
        self.high = self.add_variable(shape, "zeros", dtype="int32", name="high")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add the counts of a batch.

        Args:
            y_true: Integer masks [B, H, W] or [B, H, W, 1].
            y_pred: Logits [B, H, W, C] or integer label maps [B, H, W].
            sample_weight: Ignored: each pixel counts once.

        Raises:
            ValueError: If the shapes do not match.
        """
        counts = _pixel_counts(y_true, y_pred, self.num_classes, self.ignore_label)
        labelled = counts[1 : self.num_classes + 1]
        if 0 <= self.ignore_label < self.num_classes:
            is_ignored = np.arange(self.num_classes) == self.ignore_label
            labelled = ops.where(is_ignored[:, None], 0, labelled)
        invalid_labels = ops.take(ops.sum(counts, axis=1), np.array(self._invalid_rows), axis=0)
        counts = ops.concatenate(
            [
                ops.reshape(labelled[:, 1:-1], (-1,)),
                invalid_labels,
                ops.sum(labelled[:, :1] + labelled[:, -1:], axis=0),
            ]
        )
        low = self.low + counts
        self.high.assign(self.high + low // _BASE)
        self.low.assign(low % _BASE)

    def confusion_matrix(self) -> np.ndarray:
        """Return the exact counts.

        Returns:
            NumPy int64 [C, C]; rows are labels, columns are predictions.
        """
        counts = self._counts()[: self.num_classes**2]
        return counts.reshape(self.num_classes, self.num_classes)

    def per_class(self) -> np.ndarray:
        """Return the IoU of every class.

        Returns:
            NumPy float64 [C], NaN for classes in neither the labels nor the predictions.
        """
        return per_class_iou(self.confusion_matrix())

    def invalid_labels(self) -> dict[int | str, int]:
        """Return the number of pixels of each label that is neither a class nor ignored.

        Returns:
            Dict from label, or `"below 0"` or `"above 255"`, to the number of pixels; empty if
            there are no such pixels.
        """
        counts = self._counts()[self.num_classes**2 : -1]
        return {
            _ROW_NAMES.get(row, row - 1): int(count)
            for row, count in zip(self._invalid_rows, counts, strict=True)
            if count
        }

    def invalid_predictions(self) -> int:
        """Return the number of labelled pixels whose prediction is not a class."""
        return int(self._counts()[-1])

    def mean_iou(self):
        """Return the mean IoU, a float32 scalar tensor; 0 if no pixel was counted."""
        matrix = self.float_matrix()
        hits = ops.diagonal(matrix)
        union = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - hits
        seen = ops.cast(union > 0, "float32")
        iou = hits / ops.maximum(union, 1.0)
        return ops.sum(iou * seen) / ops.maximum(ops.sum(seen), 1.0)

    def pixel_accuracy(self):
        """Return the pixel accuracy, a float32 scalar tensor; 0 if no pixel was counted."""
        matrix = self.float_matrix()
        return ops.trace(matrix) / ops.maximum(ops.sum(matrix), 1.0)

    def float_matrix(self):
        """Return the counts as a float32 tensor [C, C]; works in compiled steps."""
        cells = self.num_classes**2
        low, high = (ops.cast(v[:cells], "float32") for v in (self.low, self.high))
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

    def _counts(self):
        low, high = (ops.convert_to_numpy(v).astype("int64") for v in (self.low, self.high))
        return high * _BASE + low


def per_class_iou(matrix: np.ndarray) -> np.ndarray:
    """Return the IoU of every class from counts [C, C] or [C, C + 1]; NaN for absent classes.

    Rows are labels, columns are predictions; the last of C + 1 columns counts pixels without a
    prediction.
    """
    hits = np.diagonal(matrix).astype("float64")
    union = matrix.sum(axis=1) + matrix.sum(axis=0)[: len(hits)] - hits
    return np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)


def _row_of(label: int) -> int:
    """Return the row of a label in `_pixel_counts`; for labels outside 0..255, `IGNORED`."""
    return label + 1 if 0 <= label <= 255 else IGNORED


def _pixel_counts(y_true, y_pred, num_classes: int, ignore_label: int):
    """Count pixels by label and prediction, including values out of range.

    All values are counted in one table, so that the caller can exclude values afterwards: this
    takes a third of the time of masking the pixels. `y_true` are integer masks [B, H, W] or [B, H,
    W, 1]; `y_pred` are logits [B, H, W, num_classes] or label maps of an integer dtype. Return
    int32 [259, num_classes + 2]. Rows are labels: below 0, 0 to 255, above 255, and an ignore label
    outside 0..255. Columns are predictions: below 0, the classes, and above the classes. Raise
    ValueError if the shapes do not match.
    """
    shape = tuple(y_pred.shape)
    from_logits = "int" not in keras.backend.standardize_dtype(y_pred.dtype)
    _check_shapes(tuple(y_true.shape), shape[:-1] if from_logits else shape)
    if not from_logits:
        predictions = _clipped(y_pred, num_classes)
    elif shape[-1] == num_classes:
        predictions = ops.argmax(y_pred, axis=-1)
    else:
        raise ValueError(
            f"Expected logits of {num_classes} classes, or label maps of an integer dtype. "
            f"Received: predictions {shape}"
        )
    labels = _clipped(y_true, 256)
    if _row_of(ignore_label) == IGNORED:
        labels = ops.where(ops.cast(y_true, "int32") == ignore_label, IGNORED - 1, labels)
    # Labels and predictions start at -1; adding `columns + 1` makes the index of the first cell 0.
    columns = num_classes + 2
    cells = ops.reshape(labels, (-1,)) * columns + ops.reshape(predictions, (-1,))
    return ops.reshape(_bincount(cells + (columns + 1), NUM_ROWS * columns), (NUM_ROWS, columns))


def _clipped(x, top):
    """Return `x` as int32; values below 0 become -1, and values from `top` up become `top`."""
    dtype = keras.backend.standardize_dtype(x.dtype)
    if dtype.startswith("uint"):
        # uint8 labels, the usual case, need no clipping.
        x = x if dtype == "uint8" and top > 255 else ops.minimum(x, ops.cast(top, dtype))
        return ops.cast(x, "int32")
    # Clip int64 before the cast: larger values must not wrap around to a class.
    x = x if dtype == "int64" else ops.cast(x, "int32")
    return ops.cast(ops.clip(x, -1, top), "int32")


def _check_shapes(masks, label_maps):
    sizes = [shape[:-1] if len(shape) == 4 else shape for shape in (masks, label_maps)]
    known = all(None not in size for size in sizes)
    if known and math.prod(sizes[0]) != math.prod(sizes[1]):
        raise ValueError(
            "Masks must be [B, H, W] or [B, H, W, 1], and predictions of the same size. Received: "
            f"masks {masks}, predictions {label_maps}"
        )


def _bincount(cells, size):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # On CPUs 25 times faster than `segment_sum`. XLA requires the constant size.
        return tf.raw_ops.DenseBincount(
            input=cells, size=tf.constant(size), weights=tf.constant([], "int32")
        )
    return ops.segment_sum(ops.ones_like(cells), cells, num_segments=size)
