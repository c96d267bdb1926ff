"""Count the pixels of a batch by label and prediction."""

import math

import keras
from keras import ops

# Rows of the counts: labels below 0, one row for each label 0..255, labels above 255, and an
# ignore label outside 0..255.
BELOW, ABOVE = 0, 257
IGNORED = 258
NUM_ROWS = 259


def row_of(label: int) -> int:
    """Return the row of a label in `pixel_counts`; for labels outside 0..255, `IGNORED`."""
    return label + 1 if 0 <= label <= 255 else IGNORED


def pixel_counts(y_true, y_pred, num_classes: int, ignore_label: int):
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
    if row_of(ignore_label) == IGNORED:
        labels = ops.where(ops.cast(y_true, "int32") == ignore_label, IGNORED - 1, labels)
    # Labels and predictions start at -1.
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
