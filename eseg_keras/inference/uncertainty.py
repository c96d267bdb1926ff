"""Confidence and uncertainty of each pixel, from probabilities."""

import math

from keras import ops


def confidence(probabilities):
    """Return the probability of the most likely class.

    Args:
        probabilities: Float tensor [..., C] that sums to 1 over the classes.

    Returns:
        Tensor [...] from 1/C to 1.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.inference import confidence
    >>> float(confidence(np.array([0.25, 0.75])))
    0.75
    """
    return ops.max(probabilities, axis=-1)


def entropy(probabilities):
    """Return the entropy over the classes, divided by its maximum log(C).

    Args:
        probabilities: Float tensor [..., C] that sums to 1 over the classes.

    Returns:
        Tensor [...] from 0 (certain) to 1 (all classes equally likely); 0 for a single class.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.inference import entropy
    >>> round(float(entropy(np.array([0.5, 0.25, 0.25]))), 3)
    0.946
    """
    # The maximum avoids log(0), so that 0 log 0 is 0; other terms do not change in float32.
    terms = -probabilities * ops.log(ops.maximum(probabilities, 1e-30))
    return ops.sum(terms, axis=-1) / math.log(max(probabilities.shape[-1], 2))


def margin(probabilities):
    """Return the probability of the most likely class minus that of the second.

    Args:
        probabilities: Float tensor [..., C] that sums to 1 over the classes.

    Returns:
        Tensor [...] from 0 (both equally likely) to 1; 1 for a single class.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.inference import margin
    >>> float(margin(np.array([0.25, 0.5, 0.25])))
    0.25
    """
    first = ops.argmax(probabilities, axis=-1)[..., None]
    is_first = ops.equal(ops.arange(probabilities.shape[-1], dtype=first.dtype), first)
    others = ops.where(is_first, ops.zeros_like(probabilities), probabilities)
    return ops.max(probabilities, axis=-1) - ops.max(others, axis=-1)


MAPS = {
    "confidence": confidence,
    "entropy": entropy,
    "margin": margin,
    "probabilities": lambda probabilities: probabilities,
}
"""{name of an optional map of `Prediction`: function that computes it from probabilities}."""
