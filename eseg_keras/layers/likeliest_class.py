"""The most likely class of each pixel."""

import keras
from keras import ops


def label_map(scores):
    """Return the class with the largest score, as uint8, from scores [..., C].

    If several scores are the largest, the first of their classes is returned. On TensorFlow,
    `top_k` takes half the time of `tf.argmax` and a third of the time of `keras.ops.argmax`; on
    CPUs, either `argmax` would be a large part of the latency of a small network.
    """
    if keras.backend.backend() == "tensorflow":
        labels = ops.top_k(scores, 1)[1][..., 0]
    else:
        labels = ops.argmax(scores, axis=-1)
    return ops.cast(labels, "uint8")
