"""A test runs this file in a separate process: rematerialization under MirroredStrategy."""

import tensorflow as tf
from test_remat import assert_same, small_model

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    assert_same(small_model)
print("the same")
