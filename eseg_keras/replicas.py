"""Sums over the replicas of a TensorFlow distribution strategy.

Without one (JAX, PyTorch, TensorFlow without a strategy) a step computes the whole batch and there
is one replica: on JAX, `keras.distribution` shards arrays inside the step.
"""

import keras
from keras import ops


def num_replicas() -> int:
    """Return how many replicas share a step, 1 without a strategy."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def sum_over_replicas(tensors):
    """Add up a tensor or a list of tensors over the replicas of a step, without a gradient."""
    if num_replicas() == 1:
        return tensors
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None:  # Inside the strategy's scope, but outside of a step.
        return tensors
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def global_mean(total, count):
    """Return this replica's share of the mean `total / count` over the replicas, and that count.

    The shares have the same value on every replica, so that it is logged right where replicas hold
    different numbers of images, or none; the gradient is that of the replica's own `total`.
    """
    replicas = num_replicas()
    if replicas == 1:
        return total / ops.maximum(count, 1.0), count
    value = ops.stop_gradient(total)
    global_total, count = sum_over_replicas([value, count])
    total = global_total / replicas + (total - value)
    return total / ops.maximum(count, 1.0), count
