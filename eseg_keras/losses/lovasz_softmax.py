"""Lovász-softmax: a convex surrogate of the mean IoU."""

import keras
from keras import ops

from eseg_keras.losses.region_loss import RegionLoss


@keras.saving.register_keras_serializable(package="eseg_keras")
class LovaszSoftmax(RegionLoss):
    """Lovász extension of 1 - IoU on the softmax errors, averaged over the classes present.

    Classes without a labelled pixel are skipped. The divisor is the number of images with a
    labelled pixel (at most 1 with `per_image=False`); a batch without labelled pixels gives 0. The
    loss is slow because it sorts all pixels once per class.

    Args:
        per_image, ignore_label, name: See `Dice`.

    Call arguments:
        y_true, y_pred, sample_weight: See `Dice`.

    Raises:
        ValueError: If `sample_weight` has one weight per pixel or is passed with
            `per_image=False`, or shapes do not match.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.losses import LovaszSoftmax
    >>> masks = np.array([[[0, 1, 255]]], "uint8")
    >>> round(float(LovaszSoftmax()(masks, np.zeros((1, 1, 3, 2), "float32"))), 4)
    0.5

    Reference:
        [Berman et al., 2018, The Lovász-Softmax loss](https://arxiv.org/abs/1705.08790)
    """

    def __init__(
        self, per_image: bool = True, ignore_label: int = 255, name: str = "lovasz_softmax"
    ):
        super().__init__(per_image, ignore_label, name)

    def class_losses(self, probabilities, targets, valid):
        """Return the loss of each class, [N, C]."""
        errors = ops.where(targets, 1 - probabilities, probabilities)
        # An error of 0 adds nothing to the loss, so ignored pixels need not be removed.
        errors = ops.where(valid, errors, 0.0)
        order = ops.argsort(ops.stop_gradient(-errors), axis=-1)
        errors = ops.take_along_axis(errors, order, axis=-1)
        inside = ops.take_along_axis(ops.cast(targets, "int32"), order, axis=-1)
        found = ops.cumsum(inside, axis=-1)
        outside = ops.cumsum(1 - inside, axis=-1)
        labelled = ops.sum(inside, axis=-1, keepdims=True)
        union = ops.cast(ops.maximum(labelled + outside, 1), "float32")
        missed = ops.cast(labelled - found, "float32")
        # Differences of consecutive Jaccard losses, in closed form: with a million pixels,
        # subtracting two values close to 1 would lose all digits in float32.
        step_outside = missed / (union * ops.maximum(union - 1, 1.0))
        steps = ops.where(ops.equal(inside, 1), 1 / union, step_outside)
        return ops.sum(errors * ops.stop_gradient(steps), axis=-1)
