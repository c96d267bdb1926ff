"""Cross-entropy over the hardest pixels (online hard example mining)."""

import math

import keras
from keras import ops

from eseg_keras.losses.mask_loss import (
    MaskLoss,
    check_class_factors,
    cross_entropies,
    weighted_sum_and_count,
)


@keras.saving.register_keras_serializable(package="eseg_keras")
class OHEMCrossEntropy(MaskLoss):
    """Mean cross-entropy over the hardest pixels: those whose label has a low probability.

    In each image, labelled pixels are kept if the probability of their label is below `threshold`.
    If these are fewer than the number m given by `min_kept`, the m labelled pixels with the lowest
    probabilities are kept instead, and all pixels that tie with the last of these; an image with
    fewer than m labelled pixels keeps all of them. Pixels are selected in each image separately, so
    the loss does not depend on the split of the batch over replicas.

    With `min_kept_pixels`, pixels are selected in the whole batch (of a replica), as in HRNet's
    code: if p[0] <= p[1] <= ... <= p[n - 1] are the sorted probabilities of the n labelled pixels,
    pixels with a probability below max(`threshold`, p[min(`min_kept_pixels`, n - 1)]) are kept. The
    loss then depends on the split of the batch over replicas. HRNet uses `threshold=0.9,
    min_kept_pixels=131_072`.

    The divisor is the number of kept pixels; a batch without labelled pixels gives 0. Sample
    weights and class weights multiply the losses of the kept pixels; they change neither the
    selection nor the divisor.

    Args:
        threshold: Pixels with a probability below this number are kept; above 0 and at most 1.
            Defaults to 0.7.
        min_kept: Smallest share of the pixels of an image to keep, 0 to 1; the number of pixels is
            rounded and at least 1. Defaults to 1/16.
        min_kept_pixels: Smallest number of pixels of the whole batch to keep (see above), at least
            1, in place of `min_kept`. `None` selects pixels in each image. Defaults to `None`.
        class_weights: Sequence with one factor per class, which multiplies the losses of its
            pixels, or `None`.
        ignore_label: Label of pixels to ignore. Defaults to 255.
        name: Name of the loss.

    Call arguments:
        y_true, y_pred: Masks and logits, see `CrossEntropy`.

    Raises:
        ValueError: If an argument is out of range, or shapes do not match.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.losses import OHEMCrossEntropy
    >>> masks = np.zeros((1, 1, 3), "uint8")
    >>> logits = np.array([[[[0, 0], [9, 0], [9, 0]]]], "float32")  # one hard pixel, two easy
    >>> round(float(OHEMCrossEntropy()(masks, logits)), 4)
    0.6931

    Reference:
        - [Shrivastava et al., 2016, Training Region-based Object Detectors with Online Hard
          Example Mining](https://arxiv.org/abs/1604.03540)
        - [HRNet semantic segmentation](
          https://github.com/HRNet/HRNet-Semantic-Segmentation), OhemCrossEntropy
    """

    def __init__(
        self,
        threshold: float = 0.7,
        min_kept: float = 1 / 16,
        min_kept_pixels: int | None = None,
        class_weights=None,
        ignore_label: int = 255,
        name: str = "ohem_cross_entropy",
    ):
        super().__init__(ignore_label, name)
        if not 0 < threshold <= 1:
            raise ValueError(
                f"`threshold` must be above 0 and at most 1. Received: threshold={threshold}"
            )
        if not 0 <= min_kept <= 1:
            raise ValueError(
                "`min_kept` must be a share of the image's pixels, from 0 to 1; to give a number "
                f"of pixels, pass min_kept_pixels. Received: min_kept={min_kept}"
            )
        if min_kept_pixels is not None and (
            min_kept_pixels < 1 or min_kept_pixels != int(min_kept_pixels)
        ):
            raise ValueError(
                "`min_kept_pixels` must be a whole number of pixels, at least 1, or None. "
                f"Received: min_kept_pixels={min_kept_pixels}"
            )
        self.threshold = threshold
        self.min_kept = min_kept
        self.min_kept_pixels = None if min_kept_pixels is None else int(min_kept_pixels)
        self.class_weights = check_class_factors(class_weights, "class_weights")

    def score(self, pixels):
        """Return the summed loss of the kept pixels and their number."""
        losses = cross_entropies(pixels)
        in_images = self.min_kept_pixels is None
        select = self._select_in_images if in_images else self._select_in_batch
        probabilities = ops.minimum(ops.exp(-ops.stop_gradient(losses)), 1.0)
        # NaN is not below a threshold: without this line, diverged pixels would be ignored.
        probabilities = ops.where(ops.isnan(probabilities), 0.0, probabilities)
        # Ignored pixels get a probability above all others, so that they are never selected.
        kept = select(ops.where(pixels.valid, probabilities, 2.0), pixels.valid)
        return weighted_sum_and_count(losses, pixels, kept, self.class_weights, "class_weights")

    def _select_in_images(self, probabilities, valid):
        _, height, width = ops.shape(probabilities)
        size = ops.cast(height * width, "float32")
        least = ops.maximum(ops.cast(ops.round(self.min_kept * size), "int32"), 1)
        least = ops.minimum(least, _count(valid, (1, 2)))
        under = probabilities < self.threshold
        enough = _count(under, (1, 2)) >= least
        cut = bounded_kth_smallest(probabilities, least, self.threshold, (1, 2))
        return ops.where(enough, under, probabilities <= cut)

    def _select_in_batch(self, probabilities, valid):
        # p[k], counted from 0, is the (k + 1)-th smallest probability.
        kth = ops.minimum(self.min_kept_pixels + 1, _count(valid, (0, 1, 2)))
        return probabilities < bounded_kth_smallest(probabilities, kth, self.threshold, (0, 1, 2))

    def get_config(self):
        """Return the constructor arguments as a dict of plain types."""
        return {
            **super().get_config(),
            "threshold": self.threshold,
            "min_kept": self.min_kept,
            "min_kept_pixels": self.min_kept_pixels,
            "class_weights": self.class_weights,
        }


def bounded_kth_smallest(values, k, floor: float, axes):
    """Return max(floor, k-th smallest value over `axes`), exactly, without sorting.

    `k` is an int32 tensor of size 1 along `axes`. Its values are often tens of thousands, differ
    between images and are only known at run time. Sorting (or `top_k`, which sorts for such k)
    would take longer than the rest of the loss. Bisection of the range from `floor` to 1 only
    counts the values up to the middle in each step and has static shapes. The result is exact: in
    the end, no float32 is between the two ends of the range, and the upper end is the result. At
    most -log2(floor) steps find the result's power of two, 23 more steps its mantissa (23 bits); 3
    extra steps cover rounding of the middle.
    """
    steps = 26 + math.ceil(-math.log2(floor))
    low = ops.ones_like(k, dtype="float32") * floor

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        reached = _count(values <= middle, axes) >= k
        return ops.where(reached, low, middle), ops.where(reached, middle, high)

    _, high = ops.fori_loop(0, steps, halve, (low, ops.ones_like(low)))
    return ops.where(_count(values <= low, axes) >= k, low, high)


def _count(mask, axes):
    return ops.sum(ops.cast(mask, "int32"), axis=axes, keepdims=True)
