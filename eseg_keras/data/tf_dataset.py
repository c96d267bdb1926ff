"""Batches as a tf.data.Dataset."""

from typing import TYPE_CHECKING

import numpy as np

from eseg_keras.optional import require

if TYPE_CHECKING:
    import tensorflow as tf


def make_tf_dataset(batches, epochs, initial_batch: int) -> "tf.data.Dataset":
    """See `EpochBatches.to_tf_dataset`."""
    tf = require("tensorflow", "tensorflow")
    dtypes = tuple(tf.as_dtype(column.dtype) for column in batches.columns)
    shapes = tuple(column.shape for column in batches.columns)

    def examples():
        """Return (epoch, index) of each example of the epoch, in order, int64 [examples, 2]."""
        epoch = epochs.epoch
        left = range(initial_batch, len(batches))
        indices = np.concatenate([batches.indices(epoch, batch) for batch in left])
        return np.stack([np.full_like(indices, epoch), indices], axis=1)

    def begin_epoch(_):
        examples_tensor = tf.numpy_function(examples, [], tf.int64)
        return tf.data.Dataset.from_tensor_slices(tf.ensure_shape(examples_tensor, (None, 2)))

    def load(epoch_and_index):
        epoch, index = tf.unstack(epoch_and_index, num=2)
        tensors = tf.numpy_function(batches.load, [epoch, index], dtypes)
        return epoch, tuple(map(tf.ensure_shape, tensors, shapes))

    dataset = tf.data.Dataset.range(1).flat_map(begin_epoch)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(examples())))
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    # Full batches have the same number of examples in this shard; the last batch may have fewer.
    num_together = len(batches.indices(0, 0))
    options = {"drop_remainder": batches.drop_remainder}
    if None not in shapes[0]:
        dataset = dataset.batch(num_together, **options)
    else:
        values = [tf.cast(column.padding, column.dtype) for column in batches.columns]
        fill = (tf.constant(0, tf.int64), tuple(values))
        dataset = dataset.padded_batch(num_together, padding_values=fill, **options)

    last = len(batches) - initial_batch - 1

    def note(epoch, position):
        if position == last:
            epochs.end(int(epoch))

    def note_end(position, epoch_and_batch):
        # Runs after the prefetch, so that an epoch ends when its last batch leaves the dataset. The
        # control dependency makes TensorFlow run `note`.
        epoch, batch = epoch_and_batch
        end = tf.numpy_function(note, [epoch[0], position], [])
        with tf.control_dependencies([end]):
            return tf.nest.map_structure(tf.identity, batch)

    dataset = dataset.prefetch(tf.data.AUTOTUNE).enumerate().map(note_end)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options)
