"""Base class of the losses on masks."""

from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from eseg_keras.replicas import global_mean


class Pixels(NamedTuple):
    """The pixels of a batch, prepared for `MaskLoss.score`.

    Attributes:
        logits: float32 [B, H, W, C].
        labels: int32 [B, H, W], 0 where the label in the mask is not a class.
        valid: bool [B, H, W], whether the label is not the ignore label.
        weights: float32 sample weights, [B, H, W] for pixels or [B, 1, 1] for images, or `None`.
    """

    logits: object
    labels: object
    valid: object
    weights: object

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return self.logits.shape[-1]


class MaskLoss(keras.losses.Loss):
    """Base class of the losses: prepares the labels and divides the sum by the count.

    A subclass implements `score`. All losses follow the same rules: ignored pixels do not count; a
    label that is neither a class nor ignored makes the loss NaN; a batch without a labelled pixel
    gives 0. Under a distribution strategy, the sum and the count are those of the global batch.
    """

    def __init__(self, ignore_label: int, name: str):
        super().__init__(name=name, reduction="sum")
        self.ignore_label = ignore_label

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Return the loss of a batch, a float32 scalar.

        In a training step on several replicas, return this replica's share: the loss of the global
        batch divided by the number of replicas, as Keras expects. The gradients of all replicas add
        up to the gradient of the global batch.
        """
        return self.loss_and_count(y_true, y_pred, sample_weight)[0]

    def loss_and_count(self, y_true, y_pred, sample_weight=None):
        """Return the loss, as `__call__` does, and the divisor of the global batch."""
        return global_mean(*self.sum_and_count(y_true, y_pred, sample_weight))

    def sum_and_count(self, y_true, y_pred, sample_weight=None):
        """Return the summed loss and its divisor, two float32 scalars.

        If a batch is split into parts, add the sums and the counts of the parts before dividing.
        `sample_weight` is `None`, or one factor per pixel, [B, H, W] or [B, H, W, 1], or one factor
        per image, [B].
        """
        logits = ops.cast(y_pred, "float32")
        labels = ops.cast(y_true, "int32")
        _check_shapes(labels, logits)
        if len(labels.shape) == len(logits.shape):
            labels = ops.squeeze(labels, -1)
        valid = ops.not_equal(labels, self.ignore_label)
        known = ops.logical_and(labels >= 0, labels < logits.shape[-1])
        wrong = ops.any(ops.logical_and(valid, ops.logical_not(known)))
        weights = None if sample_weight is None else _by_pixel(ops.cast(sample_weight, "float32"))
        total, count = self.score(Pixels(logits, ops.where(known, labels, 0), valid, weights))
        return ops.where(wrong, np.nan, total), count

    def score(self, pixels: Pixels):
        """Return the summed loss of prepared pixels and its divisor, two float32 scalars."""
        raise NotImplementedError

    def get_config(self):
        """Return the constructor arguments as a dict of plain types."""
        return {"name": self.name, "ignore_label": self.ignore_label}


def cross_entropies(pixels: Pixels):
    """Return minus the log-probability of each pixel's label, float32 [B, H, W]."""
    return ops.sparse_categorical_crossentropy(pixels.labels, pixels.logits, from_logits=True)


def check_class_factors(factors, argument: str) -> list[float] | None:
    """Return the factors of the constructor's `argument` as floats, or raise ValueError."""
    if factors is None:
        return None
    if isinstance(factors, Mapping) or not all(np.isfinite(f) and f >= 0 for f in factors):
        raise ValueError(
            f"`{argument}` must be a sequence with one finite factor >= 0 for each class, in the "
            f"order of the class ids. Received: {argument}={factors!r}"
        )
    return [float(factor) for factor in factors]


def weighted_sum_and_count(
    losses, pixels: Pixels, chosen, factors: list[float] | None, argument: str
):
    """Sum losses over the chosen pixels, bool [B, H, W], and count these pixels.

    The losses are multiplied by the factors of the classes and by the sample weights, if any.
    """
    if factors is not None:
        if len(factors) != pixels.num_classes:
            raise ValueError(
                f"`{argument}` must have one entry for each of the {pixels.num_classes} classes. "
                f"Received {len(factors)}."
            )
        losses = losses * ops.take(np.asarray(factors, "float32"), pixels.labels, axis=0)
    if pixels.weights is not None:
        losses = losses * pixels.weights
    return ops.sum(ops.where(chosen, losses, 0.0)), ops.sum(ops.cast(chosen, "float32"))


def _check_shapes(labels, logits):
    masks = tuple(labels.shape)
    sizes = zip(masks[:3], logits.shape[:-1], strict=False)
    if (
        len(logits.shape) != 4
        or not (len(masks) == 3 or (len(masks) == 4 and masks[-1] in (1, None)))
        or any(a != b for a, b in sizes if a is not None and b is not None)
    ):
        is_one_hot = len(masks) == 4 and masks[-1] == logits.shape[-1]
        hint = "The masks look one-hot: pass np.argmax(masks, axis=-1). " * is_one_hot
        raise ValueError(
            "Masks must be [B, H, W] or [B, H, W, 1], and logits [B, H, W, C] with equal B, H, W. "
            f"{hint}Received: masks {masks}, logits {tuple(logits.shape)}"
        )


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
