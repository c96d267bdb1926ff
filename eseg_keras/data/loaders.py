"""Batches as a tf.data.Dataset or, for backends without TensorFlow, a keras.utils.PyDataset."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import keras
import numpy as np

from eseg_keras.optional import require

if TYPE_CHECKING:
    import tensorflow as tf

# Number of batches to read ahead: one during a training step, and one more for slow examples.
_BATCHES_AHEAD = 2


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

    dataset = dataset.prefetch(_BATCHES_AHEAD).enumerate().map(note_end)
    options = tf.data.Options()
    # With autotuning, the end of an iteration waits for TensorFlow's tuner, which may sleep as long
    # as the iteration took, but at most a minute. All cores load examples without autotuning, too.
    options.autotune.enabled = False
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options)


class PyBatches(keras.utils.PyDataset):
    """See `EpochBatches.to_py_dataset`.

    This class uses its own threads and tells Keras that `workers` is 1. With more workers, Keras
    3.15 would read ahead when it reads the first batch to build a model, and would then begin the
    first epoch with the second batch.
    """

    def __init__(self, batches, epochs, initial_batch: int, workers: int | None):
        super().__init__(workers=1)
        self.batches = batches
        self.epochs = epochs
        self.initial_batch = initial_batch
        self._pool = ThreadPoolExecutor(workers or os.cpu_count(), "batches")
        self._lock = threading.Lock()
        self._ahead = {}
        self._took_last = False
        self._is_new = False

    def __len__(self) -> int:
        return len(self.batches) - self.initial_batch

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} batches. Received: index={index}")
        epoch, first = self.epochs.epoch, self.initial_batch + index
        last = min(first + _BATCHES_AHEAD, len(self.batches) - 1)
        with self._lock:
            read = {}
            for batch in range(first, last + 1):
                read[epoch, batch] = self._ahead.pop((epoch, batch), None) or [
                    self._pool.submit(self.batches.load, epoch, example)
                    for example in self.batches.indices(epoch, batch)
                ]
            # The batches left in `_ahead` are from an iteration that was stopped.
            for future in (future for futures in self._ahead.values() for future in futures):
                future.cancel()
            futures = read.pop((epoch, first))
            self._ahead = read
            self._took_last = self._took_last or index == len(self) - 1
        return self.batches.join([future.result() for future in futures])

    @property
    def workers(self) -> int:
        """Number of threads that Keras may use: 1, because this class has its own threads."""
        # Keras reads this property when `fit` begins, and then calls `on_epoch_end` once before the
        # first epoch. That call must not count an epoch, even if the last batch was already read,
        # to build the model.
        self._is_new = True
        return 1

    def on_epoch_end(self) -> None:
        """Begin the next epoch if the last batch of this epoch was read."""
        if self._took_last and not self._is_new:
            self.epochs.end(self.epochs.epoch)
        self._took_last = self._is_new = False
