"""Which examples a batch holds."""

import functools

import numpy as np


class BatchOrder:
    """Indices of the examples of every batch of every epoch, or one worker's part of them.

    Args:
        num_examples: Number of examples.
        batch_size: Examples a batch, those of all shards together.
        shuffle: Whether each epoch has an order of its own.
        seed: Seed of the orders, 0 or above.
        drop_remainder: Whether to leave out a last, smaller batch.
        shard: (worker, number of workers).

    Raises:
        ValueError: If there is no batch, or none for a worker.

    Example:

    >>> from eseg_keras.data.batch_order import BatchOrder
    >>> order = BatchOrder(7, batch_size=4, shuffle=False, seed=0, drop_remainder=False,
    ...                    shard=(1, 2))
    >>> [order.indices(epoch=0, batch=batch).tolist() for batch in range(len(order))]
    [[2, 3], [6]]
    """

    def __init__(
        self,
        num_examples: int,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
        drop_remainder: bool,
        shard: tuple[int, int],
    ):
        self.num_examples = num_examples
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.drop_remainder = drop_remainder
        self.worker, self.num_workers = shard
        self._check()
        # Every batch of an epoch asks for its order.
        self._order = functools.lru_cache(maxsize=2)(self._make_order)

    def __len__(self) -> int:
        whole, rest = divmod(self.num_examples, self.batch_size)
        return whole + (rest > 0 and not self.drop_remainder)

    def indices(self, epoch: int, batch: int) -> np.ndarray:
        """Indices of the examples of a batch, those of this shard.

        Args:
            epoch: Number of the epoch, from 0.
            batch: Number of the batch in its epoch, from 0.

        Returns:
            int64 array [examples].
        """
        if not 0 <= batch < len(self):
            raise IndexError(f"An epoch has {len(self)} batches. Received: batch={batch}")
        whole = self._order(epoch)[batch * self.batch_size : (batch + 1) * self.batch_size]
        return np.array_split(whole, self.num_workers)[self.worker]

    def _make_order(self, epoch):
        indices = np.arange(self.num_examples)
        if self.shuffle:
            # The last number keeps this stream apart from those of the examples, [seed, epoch,
            # 1 + index]: NumPy takes [seed, epoch] and [seed, epoch, 0] for the same seed.
            indices = np.random.default_rng([self.seed, epoch, 0]).permutation(indices)
        return indices

    def _check(self):
        """Refuse an epoch without a batch, and a batch without an example for every worker."""
        if len(self) == 0:
            raise ValueError(
                "`drop_remainder` leaves no batch: there are fewer examples than a batch takes. "
                f"Received: num_examples={self.num_examples}, batch_size={self.batch_size}"
            )
        shard = (self.worker, self.num_workers)
        if not 0 <= self.worker < self.num_workers:
            raise ValueError(
                "`shard` must be (worker, number of workers), the worker counted from 0. "
                f"Received: shard={shard}"
            )
        last = self.num_examples - (len(self) - 1) * self.batch_size
        smallest = min(last, self.batch_size)
        if smallest < self.num_workers:
            remedy = "another `batch_size`"
            if self.batch_size >= self.num_workers:
                remedy = "drop_remainder=True, or another `batch_size`"
            raise ValueError(
                f"Every worker needs an example of every batch, and with {self.num_examples} "
                f"examples the smallest batch has {smallest}: pass {remedy}. Received: "
                f"batch_size={self.batch_size}, drop_remainder={self.drop_remainder}, shard={shard}"
            )
