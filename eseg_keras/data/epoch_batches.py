"""What all batches have in common: their order, and the ways to take them."""

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from eseg_keras.data.batch_arguments import check_counts
from eseg_keras.data.batch_order import BatchOrder
from eseg_keras.data.epoch_counter import EpochCounter
from eseg_keras.data.joining import join_examples

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


class Column(NamedTuple):
    """One of the arrays of an example.

    Attributes:
        dtype: Its type.
        shape: Its shape; None for a side that differs between examples.
        padding: What fills it up to the largest of a batch.
    """

    dtype: np.dtype
    shape: tuple[int | None, ...]
    padding: int = 0


class EpochBatches:
    """The batches of every epoch, each a function of its epoch and number and of nothing else.

    A subclass says what an example is, by `load` and `name`.

    Args:
        order: Which examples a batch holds.
        columns: The arrays of an example.
    """

    def __init__(self, order: BatchOrder, columns: Sequence[Column]):
        self.order = order
        self.columns = tuple(columns)
        self._counters = weakref.WeakSet()

    def load(self, epoch: int, index: int) -> tuple[np.ndarray, ...]:
        """Read an example as it is in an epoch.

        Args:
            epoch: Number of the epoch, from 0.
            index: Which example.

        Returns:
            The arrays of `batch` without their first axis. They depend on nothing else.
        """
        raise NotImplementedError

    def name(self, index: int) -> str:
        """What to call an example in messages, such as its file."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.order)

    def indices(self, epoch: int, batch: int) -> np.ndarray:
        """Indices of the examples of a batch, those of this shard.

        Args:
            epoch: Number of the epoch, from 0.
            batch: Number of the batch in its epoch, from 0.

        Returns:
            int64 array [examples].
        """
        return self.order.indices(epoch, batch)

    def names(self, epoch: int, batch: int) -> list[str]:
        """Names of the examples of a batch, those of this shard (see `indices`)."""
        return [self.name(int(index)) for index in self.indices(epoch, batch)]

    def batch(self, epoch: int, batch: int) -> tuple[np.ndarray, ...]:
        """Read a batch.

        Args:
            epoch: Number of the epoch, from 0.
            batch: Number of the batch in its epoch, from 0.

        Returns:
            The arrays of its examples, each with a first axis for the examples.

        Raises:
            ImageFileError: If an example cannot be used; it names the example.
        """
        return self.join([self.load(epoch, index) for index in self.indices(epoch, batch)])

    def join(self, examples: Sequence[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
        """Make a batch of what `load` returned."""
        return join_examples(examples, [column.padding for column in self.columns])

    def to_tf_dataset(self, initial_epoch: int = 0, initial_batch: int = 0) -> "tf.data.Dataset":
        """Give the batches as a `tf.data.Dataset`, read by several threads.

        Iterating again gives the next epoch. An epoch counts once its last batch has been taken, so
        a look at the first batches (Keras takes one to build some models) changes nothing.

        Args:
            initial_epoch: Number of the epoch to begin with.
            initial_batch: Number of the batch to begin with. Above 0, the dataset is the rest of
                `initial_epoch` and nothing else, however often it is iterated; the epochs after
                it take a dataset of their own.

        Returns:
            A dataset of known length. `tf.distribute` is told not to shard it (again).

        Raises:
            ValueError: If `initial_epoch` or `initial_batch` is out of range.
            ImportError: If TensorFlow is not installed.
        """
        from eseg_keras.data.tf_dataset import make_tf_dataset

        return make_tf_dataset(self, self._counter(initial_epoch, initial_batch), initial_batch)

    def to_py_dataset(
        self, initial_epoch: int = 0, initial_batch: int = 0, workers: int | None = None
    ) -> "keras.utils.PyDataset":
        """Give the batches as a `keras.utils.PyDataset`, which needs no TensorFlow.

        The next epoch begins when `on_epoch_end` is called, as `fit` does, after the last batch was
        taken. Pass `shuffle=False` to `fit`: Keras would change the order of the batches.

        Args:
            initial_epoch: Number of the epoch to begin with.
            initial_batch: Number of the batch to begin with (see `to_tf_dataset`).
            workers: Threads that read ahead, each one example. Defaults to one for each core.

        Returns:
            A dataset of known length.

        Raises:
            ValueError: If an argument is out of range.
        """
        from eseg_keras.data.py_dataset import PyBatches

        if workers is not None:
            check_counts(workers=(workers, 1))
        return PyBatches(self, self._counter(initial_epoch, initial_batch), initial_batch, workers)

    def begin_epoch(self, epoch: int) -> None:
        """Say to the datasets made from this which epoch comes next; they then no longer count.

        Under a `tf.distribute` strategy, TensorFlow reads several batches ahead when Keras looks at
        the first one, and in an epoch of a few batches that takes the last. A callback makes up
        for it: `LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.begin_epoch(epoch))`.

        Args:
            epoch: Number of the epoch, from 0.
        """
        for counter in self._counters:
            counter.tell(epoch)

    def _counter(self, initial_epoch, initial_batch):
        """Count of the epochs of a new dataset."""
        check_counts(initial_epoch=(initial_epoch, 0), initial_batch=(initial_batch, 0))
        if initial_batch >= len(self):
            raise ValueError(
                f"`initial_batch` must be below {len(self)}, the batches of an epoch: after the "
                "last one, begin with the next epoch at batch 0. Received: "
                f"initial_epoch={initial_epoch}, initial_batch={initial_batch}"
            )
        counter = EpochCounter(initial_epoch, is_fixed=initial_batch > 0)
        self._counters.add(counter)
        return counter
