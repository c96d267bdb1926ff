"""A test runs this file in a separate process: distillation under MirroredStrategy."""

import contextlib

import keras
import numpy as np
import tensorflow as tf
from test_training_model import examples, small_model

from eseg_keras.losses import CrossEntropy

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def train(scope):
    """Train one step on three images: two on the first replica, one on the second."""
    with scope:
        model, teacher = small_model(), small_model()
        for weight in teacher.trainable_variables:
            weight.assign(2 * weight)
        optimizer = keras.optimizers.SGD(0.1)
        model.compile(optimizer, loss=CrossEntropy(), teacher=teacher, distillation=0.75)
    images, masks = examples(3)
    logs = model.fit(images, masks, batch_size=4, shuffle=False, verbose=0).history
    return logs["loss"][0], [variable.numpy() for variable in model.trainable_variables]


expected, found = train(contextlib.nullcontext()), train(strategy.scope())
np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
for a, b in zip(found[1], expected[1], strict=True):
    np.testing.assert_allclose(a, b, atol=1e-5)
print("trained")
