"""A check of the first images of a training: networks learn little from another range of values."""

import logging

import keras
import numpy as np

_log = logging.getLogger("eseg_keras")

# Augmentation may leave 0..255 a little.
_MARGIN = 64


def check_first_images(x) -> None:
    """Check the first images of what `fit` got: raise for nan, warn for another range than 0..255.

    The range is only a warning here, unlike in the readers of images, because the caller's
    augmentation may have any range, and the first images may be black.
    """
    images = _first_images(x)
    if images is None or not images.size:
        return
    low, high = float(np.min(images)), float(np.max(images))
    if not np.isfinite([low, high]).all():
        raise ValueError(
            f"The first images have values from {low} to {high}. Remove or repair them."
        )
    remedy = None
    if 0 <= low < high <= 1:
        remedy = "multiply by 255, or do not divide"
    elif low < high <= 1 or low < -_MARGIN or high > 255 + _MARGIN:
        remedy = "scale the images to it"
    if remedy:
        _log.warning(
            "The first images have values from %.3g to %.3g. Networks of eseg_keras expect images "
            "of 0..255 and scale them themselves: %s.", low, high, remedy,
        )  # fmt: skip


def _first_images(x):
    """A few images; `None` for 8-bit images, and for iterators that cannot restart."""
    if isinstance(x, keras.utils.PyDataset):
        x = x[0]
    elif hasattr(x, "element_spec") and hasattr(x, "take"):
        specs = keras.tree.flatten(x.element_spec)
        if specs[0].dtype.name == "uint8":
            return None
        x = next(iter(x.take(1)), None)
    images = x[0] if isinstance(x, tuple | list) else x
    if not hasattr(images, "dtype") or len(images.shape) != 4:
        return None
    if keras.backend.standardize_dtype(images.dtype) == "uint8":
        return None
    return keras.ops.convert_to_numpy(images[:8])
