"""Soft Dice loss over the labelled pixels."""

import keras
from keras import ops

from eseg_keras.losses.region_loss import RegionLoss


@keras.saving.register_keras_serializable(package="eseg_keras")
class Dice(RegionLoss):
    """One minus the soft Dice coefficient, averaged over the classes present.

    With p the class's probability and g 1 on its pixels, a class scores
    1 - 2 sum(p g) / (sum(p) + sum(g)), sums over the labelled pixels. Classes without a labelled
    pixel are skipped. The divisor is the number of images with a labelled pixel, so no split of
    the batch over replicas changes the loss; a batch without any gives 0.

    Args:
        per_image: Whether each image is scored by itself. If `False`, sums run over the whole
            batch, which is steadier for rare classes but depends on how replicas split it.
            Defaults to `True`.
        ignore_label: Label of pixels to ignore. Defaults to 255.
        name: Name of the loss.

    Call arguments:
        y_true: Integer masks [B, H, W] or [B, H, W, 1]. A label that is neither a class nor
            ignored makes the loss NaN, on every backend: compiled steps cannot raise.
        y_pred: Float logits [B, H, W, C].
        sample_weight: `None`, or with `per_image=True` factors of images [B].

    Raises:
        ValueError: If weights of pixels are given, or shapes do not fit.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.losses import Dice
    >>> masks = np.array([[[0, 0, 255]]], "uint8")
    >>> round(float(Dice()(masks, np.zeros((1, 1, 3, 2), "float32"))), 4)
    0.3333

    Reference:
        [Milletari et al., 2016, V-Net](https://arxiv.org/abs/1606.04797), there with squares in
        the denominator
    """

    def __init__(self, per_image: bool = True, ignore_label: int = 255, name: str = "dice"):
        super().__init__(per_image, ignore_label, name)

    def class_losses(self, probabilities, targets, valid):
        """Return the losses of classes, [N, C]."""
        overlap = ops.sum(ops.where(targets, probabilities, 0.0), axis=-1)
        predicted = ops.sum(ops.where(valid, probabilities, 0.0), axis=-1)
        labelled = ops.sum(ops.cast(targets, "float32"), axis=-1)
        # A class that is present has a sum of at least 1: the bound only serves absent ones.
        return 1 - 2 * overlap / ops.maximum(predicted + labelled, 1.0)
