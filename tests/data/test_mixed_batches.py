"""Batches with examples of two sources."""

from collections import Counter

import numpy as np
import pytest

from eseg_keras.data import Augmentation
from eseg_keras.data.examples import Examples
from eseg_keras.data.mixed_batches import MixedBatches


class Flat(Examples):
    """Constant images whose value encodes source and index."""

    num_classes = 3

    def __init__(self, count, first):
        self.count, self.first = count, first

    def __len__(self):
        return self.count

    def read(self, index):
        return np.full((8, 8, 3), self.first + index, "uint8"), np.zeros((8, 8), "uint8")

    def name(self, index):
        return str(self.first + index)


def values(batches, epoch):
    """Return the names of an epoch's examples, [batches, examples], checked against the images."""
    names = []
    for number in range(len(batches)):
        names.append([int(name) for name in batches.names(epoch, number)])
        images, masks = batches.batch(epoch, number)
        np.testing.assert_array_equal(images[:, 0, 0, 0], names[-1])
        assert masks.shape == (len(images), 8, 8)
    return np.array(names)


@pytest.mark.parametrize("num_others", [1, 4, 7, 50])
def test_half_of_each_batch_is_of_each_source(num_others):
    batches = MixedBatches(Flat(7, 0), Flat(num_others, 100), batch_size=4, seed=3)
    epochs = [values(batches, epoch) for epoch in range(9)]
    assert [epoch.shape for epoch in epochs] == [(3, 4)] * 9
    assert all(((epoch < 100).sum(axis=1) == 2).all() for epoch in epochs)
    # An epoch is a pass over the first source without the remainder, in a new order.
    first = [epoch[epoch < 100] for epoch in epochs]
    assert all(len(set(names)) == 6 and names.max() < 7 for names in first)
    assert len({tuple(names) for names in first}) > 1
    # The second source continues across epochs: no image is read again before all are read.
    others, counts = np.concatenate(epochs), Counter(dict.fromkeys(range(100, 100 + num_others), 0))
    for batch in others:
        counts.update(batch[batch >= 100].tolist())
        assert max(counts.values()) - min(counts.values()) <= 1
    # Replicas get consecutive parts of a batch, so the positions of the sources in a batch must
    # vary.
    assert len({tuple(batch < 100) for batch in others}) > 2


def test_a_bad_example_is_replaced_by_one_of_its_source():
    class Bad(Flat):
        def read(self, index):
            if index == len(self) - 1:
                raise ValueError("is bad")
            return super().read(index)

    batches = MixedBatches(Bad(4, 0), Bad(4, 100), batch_size=4, skip_bad_examples=True)
    for epoch in range(3):
        for number in range(len(batches)):
            images, _ = batches.batch(epoch, number)
            assert (images[:, 0, 0, 0] < 100).sum() == 2
            assert not {3, 103} & set(images[:, 0, 0, 0].tolist())


def test_batches_repeat_and_are_shared_out():
    options = {"batch_size": 4, "image_size": (8, 8), "augmentation": Augmentation()}
    whole, again = (MixedBatches(Flat(5, 0), Flat(3, 100), **options) for _ in range(2))
    shards = [
        MixedBatches(Flat(5, 0), Flat(3, 100), shard=(worker, 2), **options) for worker in range(2)
    ]
    for epoch, number in ((4, 1), (0, 0)):
        images, _ = whole.batch(epoch, number)
        np.testing.assert_array_equal(images, again.batch(epoch, number)[0])
        parts = [shard.batch(epoch, number)[0] for shard in shards]
        np.testing.assert_array_equal(images, np.concatenate(parts))
    dataset = whole.to_py_dataset(initial_epoch=4)
    np.testing.assert_array_equal(dataset[1][0], whole.batch(4, 1)[0])


@pytest.mark.parametrize("batch_size", [0, 3, 12])
def test_batches_that_have_no_half_are_refused(batch_size):
    with pytest.raises(ValueError, match=rf"must be even.*batch_size={batch_size}, 5 images"):
        MixedBatches(Flat(5, 0), Flat(3, 100), batch_size=batch_size)
