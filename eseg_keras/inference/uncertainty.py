"""How sure a network is of each pixel."""

import math

from keras import ops


def confidence(probabilities):
    """Return the probability of the likeliest class.

    Args:
        probabilities: Float tensor [..., C] that sums to 1 over the classes.

    Returns:
        Tensor [...] in 1/C..1.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.inference import confidence
    >>> float(confidence(np.array([0.25, 0.75])))
    0.75
    """
    return ops.max(probabilities, axis=-1)


def entropy(probabilities):
    """Return the entropy over the classes, as a share of the largest possible.

    Args:
        probabilities: Float tensor [..., C] that sums to 1 over the classes.

    Returns:
        Tensor [...] from 0 (sure) to 1 (every class as likely); 0 for a single class.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.inference import entropy
    >>> round(float(entropy(np.array([0.5, 0.25, 0.25]))), 3)
    0.946
    """
    # 0 log 0 is 0; the clip changes no product that float32 can tell from 0.
    terms = -probabilities * ops.log(ops.maximum(probabilities, 1e-30))
    return ops.sum(terms, axis=-1) / math.log(max(probabilities.shape[-1], 2))


def margin(probabilities):
    """Return how much likelier the likeliest class is than the next.

    Args:
        probabilities: Float tensor [..., C] that sums to 1 over the classes.

    Returns:
        Tensor [...] from 0 (two classes as likely) to 1; 1 for a single class.

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
"""Maps that a prediction may hold beside the label map: functions of the probabilities."""
