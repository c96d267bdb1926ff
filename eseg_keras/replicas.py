"""Sums over the replicas of a TensorFlow distribution strategy.

Without one (JAX, PyTorch, TensorFlow without a strategy) a step computes the whole batch and there
is one replica: on JAX, `keras.distribution` shards arrays inside the step.
"""

import keras


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
