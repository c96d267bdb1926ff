"""The class of each pixel."""

import keras
from keras import ops


def label_map(scores):
    """Return the class of the largest score, the first of those that are as large.

    On TensorFlow `top_k` finds it in half the time of `argmax`, which on CPUs takes as long as a
    good part of a small network, and in a third of that of `keras.ops.argmax`.

    Args:
        scores: Float tensor [..., C], logits or probabilities.

    Returns:
        Tensor uint8 [...].

    Example:

    >>> import numpy as np
    >>> from eseg_keras.layers.likeliest_class import label_map
    >>> np.asarray(label_map(np.array([[0.0, 2.0, 2.0]], "float32"))).tolist()
    [1]
    """
    if keras.backend.backend() == "tensorflow":
        labels = ops.top_k(scores, 1)[1][..., 0]
    else:
        labels = ops.argmax(scores, axis=-1)
    return ops.cast(labels, "uint8")
