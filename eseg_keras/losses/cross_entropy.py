"""Cross-entropy over the pixels that have a label."""

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
        class_weights: One factor a class on the loss of its pixels, or `None`. The divisor stays
            the number of pixels.
        label_smoothing: Share of the target spread evenly over all classes, 0 to below 1.
            Defaults to 0.
        name: Name of the loss.

    Call arguments:
        y_true: Integer masks [B, H, W] or [B, H, W, 1].
        y_pred: Float logits [B, H, W, C].

    Raises:
        ValueError: If `label_smoothing` is out of range, or shapes do not fit.

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
            sample_weight: `None` or factors [B, H, W] (or [B, H, W, 1]).

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
        labels = ops.where(valid, labels, 0)
        log_probabilities = ops.log_softmax(y_pred, axis=-1)
        picked = ops.take_along_axis(log_probabilities, labels[..., None], axis=-1)[..., 0]
        losses = -picked
        if self.label_smoothing:
            uniform = -ops.mean(log_probabilities, axis=-1)
            losses = (1 - self.label_smoothing) * losses + self.label_smoothing * uniform
        if self.class_weights is not None:
            losses = losses * ops.take(np.asarray(self.class_weights, "float32"), labels, axis=0)
        if sample_weight is not None:
            weights = ops.cast(sample_weight, "float32")
            losses = losses * (ops.squeeze(weights, -1) if len(weights.shape) == 4 else weights)
        valid = ops.cast(valid, "float32")
        return ops.sum(losses * valid), ops.sum(valid)

    def get_config(self):
        """Return the constructor arguments as a dict of plain types."""
        return {
            "name": self.name,
            "ignore_label": self.ignore_label,
            "class_weights": self.class_weights,
            "label_smoothing": self.label_smoothing,
        }
