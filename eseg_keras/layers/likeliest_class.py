"""The class of each pixel."""

import keras
from keras import ops


def label_map(scores):
    """Return the class of the largest score, the first of equal ones.

    On TensorFlow, `top_k` takes half the time of `argmax` and a third of that of
    `keras.ops.argmax`, which on CPUs is a large part of a small network's time.

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
