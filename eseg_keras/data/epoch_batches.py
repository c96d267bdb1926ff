"""The base class of all batches: shuffling, skipping bad examples, conversion to datasets."""

import functools
import logging
import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from eseg_keras.data.images.image_reader import ImageFileError

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

log = logging.getLogger(__name__)


class Column(NamedTuple):
    """Format of one array of an example.

    `None` in `shape` is a size that may differ between examples.
    """

    dtype: np.dtype
    shape: tuple[int | None, ...]
    padding: int = 0


class EpochBatches:
    """The batches of every epoch; each depends only on (`seed`, epoch, batch number).

    A subclass defines `columns`, `name`, `_read` and `_transform`. See `Batches` for the arguments
    and attributes.
    """

    columns: tuple[Column, ...]

    def __init__(
        self,
        num_examples: int,
        *,
        image_size: tuple[int, int] | None,
        batch_size: int = 8,
        shuffle: bool = False,
        seed: int = 0,
        drop_remainder: bool = False,
        skip_bad_examples: bool = False,
        shard: tuple[int, int] = (0, 1),
    ):
        _check_counts(num_examples=(num_examples, 1), batch_size=(batch_size, 1), seed=(seed, 0))
        if image_size is not None and (len(image_size) != 2 or min(image_size) < 1):
            raise ValueError(
                f"`image_size` must be (height, width). Received: image_size={image_size}"
            )
        self.num_examples = num_examples
        self.image_size = None if image_size is None else tuple(image_size)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.drop_remainder = drop_remainder
        self.skip_bad_examples = skip_bad_examples
        self.shard = shard
        self.skipped: dict[str, str] = {}
        self.error: Exception | None = None
        self._lock = threading.Lock()
        self._counters = weakref.WeakSet()
        # Cached, because every batch of an epoch uses the order of the examples.
        self._order = functools.lru_cache(maxsize=2)(self._shuffled)
        self._check_shard()

    def name(self, index: int) -> str:
        """Return the name that messages use for an example, such as the path of its file."""
        raise NotImplementedError

    def _read(self, index: int) -> tuple:
        """Read an example; raise ImageFileError, ValueError or OSError if it is unusable."""
        raise NotImplementedError

    def _transform(self, rng: np.random.Generator, *example) -> tuple:
        """Turn the result of `_read` into the arrays of `columns`."""
        raise NotImplementedError

    def __len__(self) -> int:
        whole, rest = divmod(self.num_examples, self.batch_size)
        return whole + (rest > 0 and not self.drop_remainder)

    def indices(self, epoch: int, batch: int) -> np.ndarray:
        """Return the indices of the examples of a batch, int64 [examples of this shard]."""
        if not 0 <= batch < len(self):
            raise IndexError(f"An epoch has {len(self)} batches. Received: batch={batch}")
        whole = self._order(epoch)[batch * self.batch_size : (batch + 1) * self.batch_size]
        worker, num_workers = self.shard
        return np.array_split(whole, num_workers)[worker]

    def names(self, epoch: int, batch: int) -> list[str]:
        """Return the names of the examples of this shard in a batch."""
        return [self.name(int(index)) for index in self.indices(epoch, batch)]

    def load(self, epoch: int, index: int) -> tuple[np.ndarray, ...]:
        """Read and augment an example; return the arrays of `batch` without the batch axis."""
        epoch, index = int(epoch), int(index)
        try:
            example = self._read_usable(index)
            # 1 + index, because [seed, epoch, 0] is the seed of the shuffling; see `_shuffled`.
            rng = np.random.default_rng([self.seed, epoch, 1 + index])
            try:
                arrays = self._transform(rng, *example)
            except ValueError as error:
                raise ValueError(f"{self.name(index)}: {error}") from error
        except Exception as error:
            self.error = error
            raise
        return tuple(np.asarray(array, order="C") for array in arrays)

    def batch(self, epoch: int, batch: int) -> tuple[np.ndarray, ...]:
        """Read a batch.

        Args:
            epoch: Number of the epoch, from 0.
            batch: Number of the batch in its epoch, from 0.

        Returns:
            The stacked arrays of the examples of this shard.

        Raises:
            ImageFileError: If an example cannot be used; the message contains its name. With
                `skip_bad_examples`, only if no other example can replace it.
        """
        return self.join([self.load(epoch, index) for index in self.indices(epoch, batch)])

    def join(self, examples: Sequence[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
        """Stack results of `load`, padded at the bottom and right to the largest size."""
        batch = []
        for column, arrays in zip(self.columns, zip(*examples, strict=True), strict=True):
            shapes = {array.shape for array in arrays}
            if len(shapes) == 1:
                batch.append(np.stack(arrays))
                continue
            padded = np.full((len(arrays), *map(max, *shapes)), column.padding, column.dtype)
            for row, array in zip(padded, arrays, strict=True):
                row[: array.shape[0], : array.shape[1]] = array
            batch.append(padded)
        return tuple(batch)

    def to_tf_dataset(self, initial_epoch: int = 0, initial_batch: int = 0) -> "tf.data.Dataset":
        """Return the batches as a `tf.data.Dataset`, read by several threads.

        The next iteration is the next epoch only if the last batch of this epoch was read. So no
        epoch is skipped if Keras reads a first batch to build a model.

        Args:
            initial_epoch: Number of the first epoch.
            initial_batch: Number of the first batch. If it is above 0, every pass over the
                dataset yields the remaining batches of `initial_epoch` only; create another dataset
                for later epochs.

        Returns:
            A dataset of known length. Its auto-shard policy is OFF, because `shard` already splits
            the batches among workers.

        Raises:
            ValueError: If `initial_epoch` or `initial_batch` is out of range.
            ImportError: If TensorFlow is not installed.
        """
        from eseg_keras.data.loaders import make_tf_dataset

        return make_tf_dataset(self, self._counter(initial_epoch, initial_batch), initial_batch)

    def to_py_dataset(
        self, initial_epoch: int = 0, initial_batch: int = 0, workers: int | None = None
    ) -> "keras.utils.PyDataset":
        """Return the batches as a `keras.utils.PyDataset`, which does not need TensorFlow.

        The next epoch begins when `fit` calls `on_epoch_end` after the last batch was read. Pass
        `shuffle=False` to `fit`; otherwise, Keras changes the order of the batches.

        Args:
            initial_epoch: Number of the first epoch.
            initial_batch: Number of the first batch (see `to_tf_dataset`).
            workers: Number of threads that read examples ahead. Defaults to the number of CPUs.

        Returns:
            A dataset of known length.

        Raises:
            ValueError: If an argument is out of range.
        """
        from eseg_keras.data.loaders import PyBatches

        if workers is not None:
            _check_counts(workers=(workers, 1))
        return PyBatches(self, self._counter(initial_epoch, initial_batch), initial_batch, workers)

    def begin_epoch(self, epoch: int) -> None:
        """Set the next epoch of all datasets built from these batches; they stop counting epochs.

        Datasets with an `initial_batch` above 0 do not change.

        Under a `tf.distribute` strategy, TensorFlow reads several batches ahead when Keras reads
        the first batch to build a model. In a short epoch, the last batch is one of the batches
        read ahead, so that an epoch would be skipped. To prevent this, use the callback
        `LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.begin_epoch(epoch))`.

        Args:
            epoch: Number of the epoch, from 0.
        """
        for counter in self._counters:
            counter.set(epoch)

    def _shuffled(self, epoch):
        """Return the indices of the examples of an epoch in order, int64 [num_examples]."""
        indices = np.arange(self.num_examples)
        if self.shuffle:
            # The seed differs from the seeds of the examples, [seed, epoch, 1 + index]. For NumPy,
            # [seed, epoch] and [seed, epoch, 0] are the same seed.
            indices = np.random.default_rng([self.seed, epoch, 0]).permutation(indices)
        return indices

    def _read_usable(self, index):
        """Read an example or, with `skip_bad_examples`, the next usable one."""
        for place in self._substitutes(index):
            try:
                example = self._read_named(place)
                return example if place == index else self._replacement(example)
            except ImageFileError as error:
                if not self.skip_bad_examples:
                    raise
                with self._lock:
                    if self.name(place) not in self.skipped:
                        log.warning("Skipped an example. %s", error)
                    self.skipped[self.name(place)] = str(error)
                last = error
        raise ImageFileError(last.path, [*last.problems, "no other example can be used either"])

    def _replacement(self, example):
        """Turn a usable example into the replacement of an unusable one."""
        return example

    def _substitutes(self, index):
        """Return the index of an example, then those of its possible replacements, in order."""
        return np.roll(np.arange(self.num_examples), -index)

    def _read_named(self, index):
        """Read an example; if it is unusable, raise ImageFileError with its name."""
        try:
            return self._read(index)
        except ImageFileError:
            raise
        except (ValueError, OSError) as error:  # Any other exception is a bug.
            raise ImageFileError(self.name(index), [str(error)]) from error

    def _counter(self, initial_epoch, initial_batch):
        """Return the epoch counter of a new dataset."""
        _check_counts(initial_epoch=(initial_epoch, 0), initial_batch=(initial_batch, 0))
        if initial_batch >= len(self):
            raise ValueError(
                f"`initial_batch` must be below {len(self)}, the number of batches of an epoch: "
                "after the last batch, begin the next epoch with initial_batch=0. Received: "
                f"initial_epoch={initial_epoch}, initial_batch={initial_batch}"
            )
        counter = _EpochCounter(initial_epoch, counts=initial_batch == 0)
        self._counters.add(counter)
        return counter

    def _check_shard(self):
        """Raise ValueError if `shard` is invalid, or an epoch or a shard of a batch is empty."""
        worker, num_workers = self.shard
        if len(self) == 0:
            raise ValueError(
                "`drop_remainder` drops the only batch: num_examples is below batch_size. "
                f"Received: num_examples={self.num_examples}, batch_size={self.batch_size}"
            )
        if not 0 <= worker < num_workers:
            raise ValueError(
                "`shard` must be (worker, number of workers), the worker counted from 0. "
                f"Received: shard={self.shard}"
            )
        last = self.num_examples - (len(self) - 1) * self.batch_size
        smallest = min(last, self.batch_size)
        if smallest < num_workers:
            raise ValueError(
                f"Every worker needs an example of every batch, but with {self.num_examples} "
                f"examples the smallest batch has {smallest}: pass another `batch_size`, or "
                "drop_remainder=True if only the last batch is too small. Received: batch_size="
                f"{self.batch_size}, drop_remainder={self.drop_remainder}, shard={self.shard}"
            )


class _EpochCounter:
    """Number of the next epoch of a dataset; constant if `counts` is false."""

    def __init__(self, epoch: int, counts: bool):
        self.epoch = epoch
        self._counts = self._may_be_set = counts

    def end(self, epoch: int) -> None:
        """Set the epoch after `epoch` as the next: the last batch of `epoch` was read."""
        if self._counts:
            # If two iterators of the same epoch are read to the end, count the epoch once.
            self.epoch = max(self.epoch, epoch + 1)

    def set(self, epoch: int) -> None:
        """Set the next epoch, and stop counting epochs."""
        if self._may_be_set:
            self.epoch, self._counts = epoch, False


def _check_counts(**counts: tuple[int, int]) -> None:
    """Raise ValueError unless all numbers, NAME=(value, smallest), are integers >= smallest."""
    for name, (value, smallest) in counts.items():
        if int(value) != value or value < smallest:
            raise ValueError(
                f"`{name}` must be a whole number, at least {smallest}. Received: {name}={value}"
            )
