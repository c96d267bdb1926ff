"""A test runs this file in a new process: it records how TensorFlow splits a last batch.

Argument: the path of the output, a JSON list of [number of replicas, number of images in the last
batch, numbers of images of the replicas].
"""

import json
import pathlib
import sys

import numpy as np
import tensorflow as tf

from eseg_keras.data import Batches

BATCH, SIZE = 12, (8, 8)


def read_example(index):
    return np.zeros((*SIZE, 3), "uint8"), np.zeros(SIZE, "uint8")


cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)
splits = []
for devices in (2, 3, 4):
    strategy = tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(devices)])
    for remainder in range(1, BATCH):
        batches = Batches(read_example, BATCH + remainder, batch_size=BATCH, image_size=SIZE)
        *_, (images, _) = strategy.experimental_distribute_dataset(batches.to_tf_dataset())
        parts = strategy.experimental_local_results(images)
        splits.append((devices, remainder, [int(part.shape[0]) for part in parts]))
pathlib.Path(sys.argv[1]).write_text(json.dumps(splits))
