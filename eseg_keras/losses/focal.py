"""Focal loss: cross-entropy that gives less weight to easy pixels."""

import keras
import numpy as np
from keras import ops

from eseg_keras.losses.mask_loss import (
    MaskLoss,
    check_class_factors,
    cross_entropies,
    weighted_sum_and_count,
)


@keras.saving.register_keras_serializable(package="eseg_keras")
class Focal(MaskLoss):
    """Mean of -alpha (1 - p)^gamma log p over labelled pixels; p is the label's probability.

    The sum is divided by the number of labelled pixels. A batch without a labelled pixel gives 0.
    Sample weights multiply the losses of the pixels and do not change the divisor.

    Args:
        gamma: Focusing parameter, >= 0: larger values give easy pixels less weight, and 0 gives
            cross-entropy. Defaults to 2.
        alpha: Sequence with one factor per class, which multiplies the losses of its pixels, or
            `None`.
        ignore_label: Label of pixels to ignore. Defaults to 255.
        name: Name of the loss.

    Call arguments:
        y_true, y_pred: Masks and logits, see `CrossEntropy`.

    Raises:
        ValueError: If `gamma` or `alpha` are out of range, or shapes do not match.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.losses import Focal
    >>> masks = np.array([[[0, 1, 255]]], "uint8")
    >>> round(float(Focal()(masks, np.zeros((1, 1, 3, 4), "float32"))), 4)
    0.7798

    Reference:
        [Lin et al., 2017, Focal Loss for Dense Object Detection](
        https://arxiv.org/abs/1708.02002)
    """

    def __init__(
        self,
        gamma: float = 2.0,
        alpha=None,
        ignore_label: int = 255,
        name: str = "focal",
    ):
        super().__init__(ignore_label, name)
        if not 0 <= gamma < np.inf:
            raise ValueError(f"`gamma` must be finite and >= 0. Received: gamma={gamma}")
        self.gamma = float(gamma)
        self.alpha = check_class_factors(alpha, "alpha")

    def score(self, pixels):
        """Return the summed loss and the number of labelled pixels."""
        losses = cross_entropies(pixels)
        if self.gamma:
            # expm1 computes 1 - p accurately near p = 1. The lower bound keeps the gradient of the
            # power finite: at p = 1 it is infinite for gamma below 1.
            missing = ops.maximum(-ops.expm1(-losses), 1e-30)
            losses = losses * ops.power(missing, self.gamma)
        return weighted_sum_and_count(losses, pixels, pixels.valid, self.alpha, "alpha")

    def get_config(self):
        """Return the constructor arguments as a dict of plain types."""
        return {**super().get_config(), "gamma": self.gamma, "alpha": self.alpha}
