"""Batches as a keras.utils.PyDataset, for backends without TensorFlow."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

# Number of batches to read ahead: one during a training step, and one more for slow examples.
_BATCHES_AHEAD = 2


class PyBatches(keras.utils.PyDataset):
    """See `EpochBatches.to_py_dataset`.

    This class uses its own threads and tells Keras that `workers` is 1. Above 1, Keras 3.15 reads
    ahead when it reads the first batch to build a model, and begins the epoch after that batch.
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
