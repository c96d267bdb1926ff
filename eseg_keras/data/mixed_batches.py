"""Batches with one half labelled by hand, one half by a teacher model."""

import numpy as np

from eseg_keras.data.batches import Batches
from eseg_keras.data.examples import Examples


class MixedBatches(Batches):
    """Batches of two sources: half of each batch is from each source, in random order.

    `examples` are labelled by hand, `others` by a teacher model. An epoch is one shuffled pass over
    `examples`; a remainder of less than half a batch is dropped. The shuffled passes over `others`
    continue across epochs. A batch depends only on (`seed`, epoch, number of the batch). `options`
    are other arguments of `Batches`, except `shuffle`, `drop_remainder` and `name_example`, which
    are set here. Raise ValueError if `batch_size` is odd, or if there are fewer `examples` than
    half of `batch_size`.

    Reference:
        [Revisiting Multi-Scale Feature Fusion for Semantic Segmentation](https://arxiv.org/abs/2203.12683),
        section 4.4
    """

    def __init__(self, examples: Examples, others: Examples, *, batch_size: int, **options):
        half = batch_size // 2
        if batch_size % 2 or not 1 <= half <= len(examples):
            raise ValueError(
                "Half of each batch is labelled by hand: `batch_size` must be even, at least 2 and "
                "at most twice the number of images labelled by hand. Received: "
                f"batch_size={batch_size}, {len(examples)} images"
            )
        self._sources, self._half = (examples, others), half
        super().__init__(
            lambda index: self._find(index)[0].read(self._find(index)[1]),
            len(examples) // half * batch_size,
            batch_size=batch_size,
            shuffle=True,
            drop_remainder=True,
            name_example=lambda index: self._find(index)[0].name(self._find(index)[1]),
            **options,
        )

    def _find(self, index):
        """Return the source of an example and its index in it; `examples` come before `others`."""
        first, second = self._sources
        return (first, index) if index < len(first) else (second, index - len(first))

    def _shuffled(self, epoch):
        first, second = map(len, self._sources)
        steps = first // self._half
        order = _permutation([self.seed, epoch, 0], first)[: steps * self._half]
        # First position of this epoch in the endless sequence of passes over the second source.
        start = epoch * steps * self._half
        places = np.arange(start, start + steps * self._half)
        passes = {
            number: _permutation([self.seed, number, 0, 1], second)
            for number in np.unique(places // second)
        }
        others = [first + passes[place // second][place % second] for place in places]
        halves = [np.reshape(part, (steps, self._half)) for part in (order, others)]
        # Shuffle each batch: otherwise, a replica or worker would get examples of one source only.
        rng = np.random.default_rng([self.seed, epoch, 0, 2])
        return rng.permuted(np.concatenate(halves, axis=1), axis=1).ravel()

    def _substitutes(self, index):
        """Return examples of the same source, so that each source keeps its half of the batch."""
        first, second = map(len, self._sources)
        if index < first:
            return np.roll(np.arange(first), -index)
        return first + np.roll(np.arange(second), first - index)


def _permutation(seed, count):
    return np.random.default_rng(seed).permutation(count)
