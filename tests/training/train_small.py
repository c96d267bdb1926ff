"""Tests run this file in separate processes: train a small network on one or several devices.

Arguments: strategy, number of logical devices, output folder, then for every training the number
of images and the gradient accumulation steps, as in 8x2.
"""

import sys

import keras
import numpy as np

from eseg_keras import ESeg
from eseg_keras.data import Batches
from eseg_keras.losses import OHEMCrossEntropy
from eseg_keras.metrics import SegmentationScores
from eseg_keras.training.distribution import make_distribution

STRATEGY, DEVICES, OUTPUT, *TRAININGS = sys.argv[1:]
SIZE = (48, 64)


def make_model(gradient_accumulation_steps):
    # Seeded, so that all processes start from the same weights.
    initializer = keras.initializers.GlorotUniform(seed=0)
    x = inputs = keras.Input((*SIZE, 3))
    features = {}
    for level, stride in (("P3", 8), ("P4", 2)):
        layer = keras.layers.Conv2D(
            4, 3, strides=stride, padding="same", kernel_initializer=initializer
        )
        x = features[level] = layer(x)
    model = ESeg(
        keras.Model(inputs, features), num_classes=3, min_level=3, max_level=4,
        decoder_channels=4, decoder_repeats=1, image_shape=(*SIZE, 3),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        if weight.name.endswith("kernel"):
            weight.assign(rng.normal(0, 0.3, weight.shape))
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        loss=OHEMCrossEntropy(),
        metrics=[SegmentationScores(3)],
        weight_decay=1e-3,
        ema_decay=0.99,
        global_clipnorm=0.5,
        gradient_accumulation_steps=gradient_accumulation_steps,
    )
    return model


def read_example(index):
    rng = np.random.default_rng(index)
    image = rng.normal(0, 2, (*SIZE, 3)).astype("float32")
    mask = rng.choice([0, 1, 2, 255], SIZE).astype("uint8")
    # Images differ in the number of valid pixels, and one image has none.
    mask[: 10 * (index % 4)] = 255
    if index == 1:
        mask[:] = 255
    return image, mask


# For JAX, the environment variable XLA_FLAGS sets the number of devices.
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * int(DEVICES)
    tf.config.set_logical_device_configuration(cpu, devices)
distribution = make_distribution(STRATEGY)
for training in TRAININGS:
    images, gradient_accumulation_steps = map(int, training.split("x"))
    batches = Batches(
        read_example, images, batch_size=4, image_size=SIZE, shard=distribution.worker
    )
    with distribution.scope():
        model = make_model(gradient_accumulation_steps)
    data = distribution.dataset(batches)
    logs = model.fit(data, epochs=2, validation_data=data, shuffle=False, verbose=0).history
    logs = np.array([values for _, values in sorted(logs.items())])
    arrays = [keras.ops.convert_to_numpy(v) for v in [*model.weights, *model.optimizer.variables]]
    if distribution.writes:
        path = f"{OUTPUT}/{training}.npz"
        np.savez(path, *arrays, logs=logs, devices=distribution.num_devices)
