"""Batch normalisation whose statistics cover the global batch."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="eseg_keras")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation, synchronised over replicas where the backend supports it.

    On the TensorFlow backend, under a `tf.distribute` strategy with several replicas, the batch
    statistics are those of the global batch. With one replica, the layer does not use Keras'
    synchronised computation, whose sums of squares are less precise. Where possible, it calls
    TensorFlow's fused operation, because Keras' separate operations take nearly half of a training
    step on a CPU. On JAX, `keras.distribution` shards one global batch, so the statistics are
    global by construction. The layer's config does not depend on the backend: a model saved on one
    backend loads on another.

    Args:
        momentum: Momentum of the moving statistics. Defaults to 0.97: after fine-tuning for 300
            steps, 0.99 would keep 5% of the initial statistics, which would harm inference.
        **kwargs: The other arguments of `keras.layers.BatchNormalization`, without
            `synchronized`.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.layers import BatchNormalization
    >>> tuple(BatchNormalization()(np.ones((2, 4, 4, 3), "float32")).shape)
    (2, 4, 4, 3)
    """

    def __init__(self, momentum: float = 0.97, **kwargs):
        if "synchronized" in kwargs:
            raise ValueError(
                "`synchronized` is chosen by the layer from the backend and the strategy; "
                f"do not pass it. Received: synchronized={kwargs['synchronized']}"
            )
        super().__init__(momentum=momentum, **kwargs)

    @property
    def synchronized(self) -> bool:
        """Whether the statistics are summed over the replicas of the current strategy."""
        if keras.backend.backend() != "tensorflow":
            return False
        import tensorflow as tf

        return tf.distribute.get_strategy().num_replicas_in_sync > 1

    @synchronized.setter
    def synchronized(self, value: bool):
        # The parent's constructor assigns its default. It is ignored, because the value depends on
        # the current strategy.
        del value

    def call(self, inputs, training=None, mask=None):
        """Normalise a float tensor [..., channels].

        Use the batch statistics if `training` and the layer is trainable, else the moving
        statistics.
        """
        if training and self.trainable and mask is None and self._is_fused(inputs):
            return self._fused_call(inputs)
        return super().call(inputs, training=training, mask=mask)

    def _is_fused(self, inputs) -> bool:
        """Return whether TensorFlow's fused operation can replace the parent's `call`."""
        return (
            keras.backend.backend() == "tensorflow"
            and not (self.synchronized or self.renorm)
            and (self.scale and self.center)
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and keras.backend.standardize_dtype(inputs.dtype) != "float64"
        )

    def _fused_call(self, inputs):
        import tensorflow as tf

        images = ops.cast(inputs, "float32")
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            images,
            tf.convert_to_tensor(self.gamma),
            tf.convert_to_tensor(self.beta),
            epsilon=self.epsilon,
        )
        # The operation returns the unbiased variance; Keras' moving variance uses the biased one.
        count = ops.cast(tf.size(images) // tf.shape(images)[-1], "float32")
        variance = variance * (ops.maximum(count - 1, 1.0) / count)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return ops.cast(outputs, self.compute_dtype)

    def get_config(self):
        """Return the constructor arguments as a dict of plain types."""
        config = super().get_config()
        config.pop("synchronized", None)
        return config
