"""Class weights and the resulting pixel weights."""

from collections.abc import Sequence

import numpy as np


def balanced_class_weights(class_counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return class weights that give all classes that occur the same total weight.

    The weight of a class is `pixels / (number of classes that occur * pixels of the class)`. The
    mean weight over all counted pixels is 1, so the loss keeps its scale. The weight of a class
    without pixels is 0.

    Args:
        class_counts: Pixels of each class, [num_classes].

    Returns:
        float32 array [num_classes], finite.

    Example:

    >>> from eseg_keras.data import balanced_class_weights
    >>> balanced_class_weights([30, 10, 0])
    array([0.6666667, 2.       , 0.       ], dtype=float32)
    """
    counts = np.asarray(class_counts, np.float64)
    present = counts > 0
    weights = np.zeros(counts.shape)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights.astype(np.float32)


class PixelWeights:
    """Maps a mask to pixel weights: the weight of each pixel's class, 0 at `ignore_label`."""

    def __init__(self, class_weights: Sequence[float] | np.ndarray, ignore_label: int = 255):
        weights = np.asarray(class_weights, np.float32)
        if weights.ndim != 1 or not np.all(np.isfinite(weights)) or np.any(weights < 0):
            raise ValueError(
                "`class_weights` must be one finite number per class, none below 0. "
                f"Received: class_weights={class_weights}"
            )
        self.num_classes = len(weights)
        self._table = np.full(256, np.nan, np.float32)
        self._table[: len(weights)] = weights
        self._table[ignore_label] = 0.0

    def __call__(self, mask: np.ndarray) -> np.ndarray:
        """Return the weights, float32 [H, W], of a uint8 mask [H, W]."""
        weights = self._table[mask]
        if np.isnan(weights.max(initial=0)):
            raise ValueError(
                f"`class_weights` has {self.num_classes} classes, but a mask contains the labels "
                f"{np.unique(mask[np.isnan(weights)]).tolist()}. Map these labels with "
                "`class_map`, or pass weights for them"
            )
        return weights
