"""Cross-entropy over the pixels that have a label."""

import keras
from keras import ops

from eseg_keras.losses.mask_loss import (
    MaskLoss,
    check_class_factors,
    cross_entropies,
    weighted_sum_and_count,
)


@keras.saving.register_keras_serializable(package="eseg_keras")
class CrossEntropy(MaskLoss):
    """Mean softmax cross-entropy over the labelled pixels of a batch.

    The sum over pixels is divided by the number of pixels whose label is not ignored, so ignored
    pixels do not change the gradient of the others. A batch without a labelled pixel gives 0.
    Sample weights, per pixel [B, H, W] or per image [B], multiply the losses of the pixels and do
    not change the divisor.

    Args:
        ignore_label: Label of pixels to ignore. Defaults to 255.
        class_weights: Sequence with one factor per class, which multiplies the losses of its
            pixels, or `None`. The divisor stays the number of labelled pixels.
        label_smoothing: Share of the target that is spread evenly over all classes, from 0 to
            below 1. Defaults to 0.
        name: Name of the loss.

    Call arguments:
        y_true: Integer masks [B, H, W] or [B, H, W, 1]. A label that is neither a class nor
            ignored makes the loss NaN, because compiled steps cannot raise errors.
        y_pred: Float logits [B, H, W, C].

    Raises:
        ValueError: If an argument is out of range, or shapes do not match.

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
        super().__init__(ignore_label, name)
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                "`label_smoothing` must be from 0 to below 1. "
                f"Received: label_smoothing={label_smoothing}"
            )
        self.class_weights = check_class_factors(class_weights, "class_weights")
        self.label_smoothing = label_smoothing

    def score(self, pixels):
        """Return the summed loss and the number of labelled pixels."""
        losses = cross_entropies(pixels)
        if self.label_smoothing:
            uniform = -ops.mean(ops.log_softmax(pixels.logits, axis=-1), axis=-1)
            losses = (1 - self.label_smoothing) * losses + self.label_smoothing * uniform
        return weighted_sum_and_count(
            losses, pixels, pixels.valid, self.class_weights, "class_weights"
        )

    def get_config(self):
        """Return the constructor arguments as a dict of plain types."""
        return {
            **super().get_config(),
            "class_weights": self.class_weights,
            "label_smoothing": self.label_smoothing,
        }
