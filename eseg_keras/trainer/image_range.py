"""A warning about images of 0..1, on which a network for images of 0..255 learns little."""

import logging

import keras
import numpy as np

_log = logging.getLogger("eseg_keras")


def warn_if_unit_range(x) -> None:
    """Log a warning if the first images of what `fit` got are floats of 0..1."""
    images = _first_images(x)
    if images is None or not len(images):
        return
    low, high = float(np.min(images)), float(np.max(images))
    if 0 <= low < high <= 1:
        _log.warning(
            "The first images have values from %.3g to %.3g. Networks of eseg_keras expect images "
            "of 0..255 and scale them themselves: multiply by 255, or do not divide.", low, high,
        )  # fmt: skip


def _first_images(x):
    """A few float images; `None` for integer images, and for iterators that cannot restart."""
    if isinstance(x, keras.utils.PyDataset):
        x = x[0]
    elif hasattr(x, "element_spec") and hasattr(x, "take"):
        specs = keras.tree.flatten(x.element_spec)
        if not keras.backend.is_float_dtype(specs[0].dtype.name):
            return None
        x = next(iter(x.take(1)), None)
    images = x[0] if isinstance(x, tuple | list) else x
    if not hasattr(images, "dtype") or len(images.shape) != 4:
        return None
    if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(images.dtype)):
        return None
    return keras.ops.convert_to_numpy(images[:8])
