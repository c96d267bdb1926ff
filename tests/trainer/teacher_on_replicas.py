"""Run by a test in a process of its own: a teacher and AdamW under MirroredStrategy."""

import contextlib

import keras
import numpy as np
import tensorflow as tf
from test_training_model import examples, small_model

from eseg_keras.losses import CrossEntropy
from eseg_keras.training import Experiment
from eseg_keras.training.recipe import compile_options

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def train(scope):
    """Train one step on four images, on two replicas three and one."""
    with scope:
        model, teacher = small_model(), small_model()
        for weight in teacher.trainable_variables:
            weight.assign(2 * weight)
        optimizer = keras.optimizers.SGD(0.1)
        model.compile(optimizer, loss=CrossEntropy(), teacher=teacher, distillation=0.75)
    images, masks = examples(4)
    logs = model.fit(images, masks, batch_size=6, shuffle=False, verbose=0).history
    return logs["loss"][0], [variable.numpy() for variable in model.trainable_variables]


expected, found = train(contextlib.nullcontext()), train(strategy.scope())
np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
for a, b in zip(found[1], expected[1], strict=True):
    np.testing.assert_allclose(a, b, atol=1e-5)

# AdamW decays kernels on every replica.
experiment = Experiment(num_classes=3, optimizer="adamw", learning_rate=0.5, weight_decay=0.25)
with strategy.scope():
    layer = keras.layers.Dense(1, bias_initializer="ones", kernel_initializer="ones")
    layer.build((1, 1))
    optimizer = compile_options(experiment, 10)["optimizer"]
    optimizer.build(layer.trainable_variables)


@tf.function
def decay():
    gradients = [tf.zeros_like(variable.value) for variable in layer.trainable_variables]
    optimizer.apply_gradients(zip(gradients, layer.trainable_variables, strict=True))


strategy.run(decay)
for variable, factor in ((layer.kernel, 1 - 0.5 * 0.25), (layer.bias, 1.0)):
    for value in strategy.experimental_local_results(variable.value):
        np.testing.assert_allclose(value, factor * np.ones(value.shape), rtol=1e-6)
print("trained")
