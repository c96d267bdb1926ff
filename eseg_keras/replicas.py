"""Sums over the replicas of a TensorFlow distribution strategy.

Without a strategy (JAX, PyTorch, TensorFlow by itself), a single replica computes the whole batch;
on JAX, `keras.distribution` shards the arrays inside the training step.
"""

import keras
from keras import ops


def num_replicas() -> int:
    """Return the number of replicas of a training step; 1 without a strategy."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def _sum_over_replicas(tensors):
    """Return a tensor, or each tensor of a list, summed over the replicas of a training step."""
    if num_replicas() == 1:
        return tensors
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None:  # Inside the strategy's scope, but outside of a step.
        return tensors
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def global_mean(total, count):
    """Return this replica's share of the global mean `total / count`, and the global count.

    All replicas return the same share, and the shares add up to the mean, even if replicas have
    different numbers of images, or none. The gradient of the share is that of the replica's own
    `total`, divided by the global count.
    """
    replicas = num_replicas()
    if replicas == 1:
        return total / ops.maximum(count, 1.0), count
    value = ops.stop_gradient(total)
    global_total, count = _sum_over_replicas([value, count])
    total = global_total / replicas + (total - value)
    return total / ops.maximum(count, 1.0), count
