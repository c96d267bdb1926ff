"""Cross-entropy over the pixels that have a label."""

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="eseg_keras")
class CrossEntropy(keras.losses.Loss):
    """Mean softmax cross-entropy over the labelled pixels of a batch.

    The sum over pixels is divided by the number of pixels whose label is not ignored, so an
    image's void area does not shrink the gradient of the rest. A batch without any labelled pixel
    gives 0. Sample weights of shape [B, H, W] multiply the pixels' losses and do not change the
    divisor.

    Args:
        ignore_label: Label of pixels to leave out. Defaults to 255.
        class_weights: One factor a class on the loss of its pixels, in a sequence, or `None`. The
            divisor stays the number of pixels.
        label_smoothing: Share of the target spread evenly over all classes, 0 to below 1.
            Defaults to 0.
        name: Name of the loss.

    Call arguments:
        y_true: Integer masks [B, H, W] or [B, H, W, 1]. A label that is neither a class nor
            ignored makes the loss NaN, on every backend: compiled steps cannot raise.
        y_pred: Float logits [B, H, W, C].

    Raises:
        ValueError: If `label_smoothing` or `class_weights` are out of range, or shapes do not fit.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.losses import CrossEntropy
    >>> masks = np.array([[[0, 1, 255]]], "uint8")
    >>> round(float(CrossEntropy()(masks, np.zeros((1, 1, 3, 4), "float32"))), 4)
    1.3863
    """

    def __init__(
        self,
        ignore_label: int = 255,
        class_weights=None,
        label_smoothing: float = 0.0,
        name: str = "cross_entropy",
    ):
        super().__init__(name=name, reduction="sum")
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                "`label_smoothing` must be from 0 to below 1. "
                f"Received: label_smoothing={label_smoothing}"
            )
        if class_weights is not None and (
            isinstance(class_weights, Mapping)
            or not all(np.isfinite(weight) and weight >= 0 for weight in class_weights)
        ):
            raise ValueError(
                "`class_weights` must be a sequence of one finite factor >= 0 for each class, in "
                f"the order of the ids. Received: class_weights={class_weights!r}"
            )
        self.ignore_label = ignore_label
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]
        self.label_smoothing = label_smoothing

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Return the loss of a batch, a float32 scalar."""
        total, count = self.sum_and_count(y_true, y_pred, sample_weight)
        return total / ops.maximum(count, 1.0)

    def sum_and_count(self, y_true, y_pred, sample_weight=None):
        """Return the summed loss and the number of labelled pixels.

        Args:
            y_true: Integer masks [B, H, W] or [B, H, W, 1].
            y_pred: Float logits [B, H, W, C].
            sample_weight: `None`, or factors of pixels [B, H, W] (or [B, H, W, 1]) or of
                images [B].

        Returns:
            Two float32 scalars.
        """
        y_pred = ops.cast(y_pred, "float32")
        labels = ops.cast(y_true, "int32")
        if len(labels.shape) == len(y_pred.shape):
            labels = ops.squeeze(labels, -1)
        num_classes = y_pred.shape[-1]
        if self.class_weights is not None and len(self.class_weights) != num_classes:
            raise ValueError(
                f"`class_weights` must have one entry for each of the {num_classes} classes. "
                f"Received {len(self.class_weights)}."
            )
        valid = ops.not_equal(labels, self.ignore_label)
        known = ops.logical_and(labels >= 0, labels < num_classes)
        wrong = ops.any(ops.logical_and(valid, ops.logical_not(known)))
        labels = ops.where(known, labels, 0)
        log_probabilities = ops.log_softmax(y_pred, axis=-1)
        picked = ops.take_along_axis(log_probabilities, labels[..., None], axis=-1)[..., 0]
        losses = -picked
        if self.label_smoothing:
            uniform = -ops.mean(log_probabilities, axis=-1)
            losses = (1 - self.label_smoothing) * losses + self.label_smoothing * uniform
        if self.class_weights is not None:
            losses = losses * ops.take(np.asarray(self.class_weights, "float32"), labels, axis=0)
        if sample_weight is not None:
            losses = losses * _by_pixel(ops.cast(sample_weight, "float32"))
        total = ops.sum(ops.where(valid, losses, 0.0))
        return ops.where(wrong, np.nan, total), ops.sum(ops.cast(valid, "float32"))

    def get_config(self):
        """Return the constructor arguments as a dict of plain types."""
        return {
            "name": self.name,
            "ignore_label": self.ignore_label,
            "class_weights": self.class_weights,
            "label_smoothing": self.label_smoothing,
        }


def _by_pixel(weights):
    rank = len(weights.shape)
    if rank not in (1, 3, 4):
        raise ValueError(
            "`sample_weight` must be [B], [B, H, W] or [B, H, W, 1]. "
            f"Received: shape {tuple(weights.shape)}"
        )
    if rank == 1:
        return weights[:, None, None]
    return ops.squeeze(weights, -1) if rank == 4 else weights
