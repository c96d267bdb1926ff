"""Soft Dice loss over the labelled pixels."""

import keras
from keras import ops

from eseg_keras.losses.region_loss import RegionLoss


@keras.saving.register_keras_serializable(package="eseg_keras")
class Dice(RegionLoss):
    """One minus the soft Dice coefficient, averaged over the classes present.

    The loss of a class is 1 - 2 sum(p g) / (sum(p) + sum(g)), summed over the labelled pixels: p is
    the probability of the class, and g is 1 for pixels with its label, else 0. Classes without a
    labelled pixel are skipped. The losses of the images are averaged over the images with a
    labelled pixel, so the loss does not depend on the split of the batch over replicas; a batch
    without labelled pixels gives 0.

    Args:
        per_image: Whether to compute the loss of each image separately. If `False`, the sums run
            over the whole batch, which has less variance for rare classes but depends on the split
            of the batch over replicas. Defaults to `True`.
        ignore_label: Label of pixels to ignore. Defaults to 255.
        name: Name of the loss.

    Call arguments:
        y_true, y_pred: Masks and logits, see `CrossEntropy`.
        sample_weight: `None`, or with `per_image=True` one factor per image, [B].

    Raises:
        ValueError: If `sample_weight` has one weight per pixel or is passed with
            `per_image=False`, or shapes do not match.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.losses import Dice
    >>> masks = np.array([[[0, 0, 255]]], "uint8")
    >>> round(float(Dice()(masks, np.zeros((1, 1, 3, 2), "float32"))), 4)
    0.3333

    Reference:
        [Milletari et al., 2016, V-Net](https://arxiv.org/abs/1606.04797), which squares p and g in
        the denominator
    """

    def __init__(self, per_image: bool = True, ignore_label: int = 255, name: str = "dice"):
        super().__init__(per_image, ignore_label, name)

    def class_losses(self, probabilities, targets, valid):
        """Return the loss of each class, [N, C]."""
        overlap = ops.sum(ops.where(targets, probabilities, 0.0), axis=-1)
        predicted = ops.sum(ops.where(valid, probabilities, 0.0), axis=-1)
        labelled = ops.sum(ops.cast(targets, "float32"), axis=-1)
        # The sum of a class that is present is at least 1: `maximum` only affects absent classes.
        return 1 - 2 * overlap / ops.maximum(predicted + labelled, 1.0)
