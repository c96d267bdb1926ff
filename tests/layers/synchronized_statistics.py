"""A test runs this file in a separate process: batch statistics over two logical devices."""

import numpy as np
import tensorflow as tf

from eseg_keras.layers import BatchNormalization

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
data = np.random.default_rng(0).normal(3, 2, size=(2, 4, 5, 3)).astype("float32")
with strategy.scope():
    layer = BatchNormalization(momentum=0.0)
    layer.build(data.shape)


@tf.function
def step():
    def replica():
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        return layer(tf.constant(data)[index : index + 1], training=True)

    return strategy.run(replica)


step()
np.testing.assert_allclose(layer.moving_mean, data.mean((0, 1, 2)), rtol=1e-4)
np.testing.assert_allclose(layer.moving_variance, data.var((0, 1, 2)), rtol=1e-4)
print("synchronized")
