"""A test runs this file in a separate process: batch norm statistics under MirroredStrategy."""

import numpy as np
import tensorflow as tf
from test_update_batch_norm import assert_statistics, batches, expected, model_with_two_norms

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model = model_with_two_norms()
    model.compile("sgd", loss="mse", ema_decay=0.5)
images = batches()
model.fit(images[0], np.zeros((4, 6, 7, 4)), batch_size=4, verbose=0)
model.update_batch_norm(images)
with model.averaged_weights():
    assert_statistics(model, expected(model, images))
with strategy.scope():
    model.update_batch_norm(images[:1])
with model.averaged_weights():
    assert_statistics(model, expected(model, images[:1]))
print("re-estimated")
