"""Check the value range of the first training images."""

import logging

import keras
import numpy as np

_log = logging.getLogger("eseg_keras")

# Augmented images may slightly exceed 0..255.
_MARGIN = 64
# Images with negative values and none above this were normalized, such as by mean and deviation.
_NORMALIZED = 16


def check_first_images(x) -> None:
    """Raise ValueError if the first images for `fit` are not finite; warn if not in 0..255.

    When images are read, another range is an error. Here it is only a warning, because the
    caller's augmentation may produce any range, and the first images may be black.
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
        remedy = "multiply by 255, or omit the division"
    elif (low < 0 and high <= _NORMALIZED) or low < -_MARGIN or high > 255 + _MARGIN:
        remedy = "scale the images to this range"
    if remedy:
        _log.warning(
            "The first images have values from %.3g to %.3g. Networks of eseg_keras expect images "
            "of 0..255 and normalize them internally: %s.", low, high, remedy,
        )  # fmt: skip


def _first_images(x):
    """Return a few images; `None` for 8-bit images, and for iterators that cannot restart."""
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
