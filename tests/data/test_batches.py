"""Tests of `Batches`: tf.data and PyDataset yield the same batches."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from eseg_keras.data import Augmentation, ImageFileError
from eseg_keras.data.batches import Batches


def read_example(index, size=(40, 60)):
    """Return an image filled with the index, and a mask of columns modulo 3."""
    mask = np.tile(np.arange(size[1]) % 3, (size[0], 1)).astype(np.uint8)
    return np.full((*size, 3), index, np.uint8), mask


def read_mixed_sizes(index):
    return read_example(index, (32 + index, 50 - 2 * index))


def read_tiny(index):
    return np.full((1, 1, 1), index % 256, np.uint8), np.zeros((1, 1), np.uint8)


def random_batches(num_examples=7, read=read_example, **options):
    options = {
        "image_size": (24, 32),
        "batch_size": 3,
        "augmentation": Augmentation(),
        "shuffle": True,
        "seed": 5,
        **options,
    }
    return Batches(read, num_examples, **options)


KINDS = {
    "augmented": lambda: random_batches(),
    "weighed": lambda: random_batches(class_weights=[1.0, 2.0, 3.0]),
    "fitted": lambda: random_batches(augmentation=None),
    "mixed sizes": lambda: Batches(
        read_mixed_sizes, 7, batch_size=3, class_weights=[1.0, 1.0, 1.0], ignore_label=77
    ),
    "whole batches": lambda: random_batches(drop_remainder=True),
    "shard": lambda: random_batches(11, batch_size=5, shard=(1, 2), drop_remainder=True),
    "uneven shard": lambda: random_batches(14, batch_size=8, shard=(2, 3)),
    "one batch": lambda: random_batches(3),
}


def numpy_epoch(batches, epoch, initial_batch=0):
    return [batches.batch(epoch, batch) for batch in range(initial_batch, len(batches))]


def tf_epoch(dataset):
    return [tuple(tensor.numpy() for tensor in batch) for batch in dataset]


def assert_same(first, second):
    assert len(first) == len(second)
    for batch, other in zip(first, second, strict=True):
        assert len(batch) == len(other)
        for left, right in zip(batch, other, strict=True):
            assert left.dtype == right.dtype
            np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("kind", KINDS)
def test_tf_data_and_py_dataset_give_the_same_batches(kind):
    batches = KINDS[kind]()
    tf_dataset, py_dataset = batches.to_tf_dataset(), batches.to_py_dataset(workers=3)
    assert len(tf_dataset) == len(py_dataset) == len(batches)
    for epoch in range(3):
        expected = numpy_epoch(batches, epoch)
        assert_same(tf_epoch(tf_dataset), expected)
        assert_same(list(py_dataset), expected)
        py_dataset.on_epoch_end()


@pytest.mark.parametrize("initial_batch", [1, 2])
@pytest.mark.parametrize("kind", ["augmented", "mixed sizes", "uneven shard"])
def test_the_rest_of_an_epoch(kind, initial_batch):
    batches = KINDS[kind]()
    if initial_batch >= len(batches):
        return
    expected = numpy_epoch(batches, 4, initial_batch)
    tf_dataset = batches.to_tf_dataset(4, initial_batch)
    py_dataset = batches.to_py_dataset(4, initial_batch)
    assert len(tf_dataset) == len(py_dataset) == len(expected)
    # Repeated iterations yield the same batches: a dataset that starts within an epoch does not
    # continue with the next epoch.
    for _ in range(2):
        assert_same(tf_epoch(tf_dataset), expected)
        assert_same(list(py_dataset), expected)
        py_dataset.on_epoch_end()


def test_initial_epoch():
    batches = random_batches()
    assert_same(tf_epoch(batches.to_tf_dataset(2)), numpy_epoch(batches, 2))
    assert_same(list(batches.to_py_dataset(2)), numpy_epoch(batches, 2))


@given(
    num_examples=st.integers(1, 60),
    batch_size=st.integers(1, 20),
    num_workers=st.integers(1, 6),
    shuffle=st.booleans(),
    drop_remainder=st.booleans(),
    epoch=st.integers(0, 1000),
)
def test_shards_together_are_the_whole_batch(
    num_examples, batch_size, num_workers, shuffle, drop_remainder, epoch
):
    options = {
        "batch_size": batch_size,
        "shuffle": shuffle,
        "drop_remainder": drop_remainder,
        "image_size": (1, 1),
    }
    sizes = [min(batch_size, num_examples - first) for first in range(0, num_examples, batch_size)]
    if drop_remainder:
        sizes = [size for size in sizes if size == batch_size]
    if not sizes or min(sizes) < num_workers:
        with pytest.raises(ValueError, match="Received: "):
            Batches(read_tiny, num_examples, shard=(0, num_workers), **options)
        return
    whole = Batches(read_tiny, num_examples, **options)
    shards = [
        Batches(read_tiny, num_examples, shard=(worker, num_workers), **options)
        for worker in range(num_workers)
    ]
    assert len(whole) == len(sizes) == len(shards[0])
    seen = []
    for batch, size in enumerate(sizes):
        indices = whole.indices(epoch, batch)
        assert len(indices) == size
        seen += indices.tolist()
        parts = [shard.indices(epoch, batch) for shard in shards]
        np.testing.assert_array_equal(np.concatenate(parts), indices)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        images = np.concatenate([shard.batch(epoch, batch)[0] for shard in shards])
        np.testing.assert_array_equal(images, whole.batch(epoch, batch)[0])
        np.testing.assert_array_equal(images.ravel(), indices)
    assert len(set(seen)) == len(seen) == sum(sizes)
    if not shuffle:
        assert seen == list(range(sum(sizes)))


def test_every_epoch_has_an_order_and_an_augmentation_of_its_own():
    batches = random_batches(20)
    orders = [
        np.concatenate([batches.indices(epoch, batch) for batch in range(len(batches))])
        for epoch in range(4)
    ]
    assert len({order.tobytes() for order in orders}) == 4
    masks = [batches.load(epoch, index)[1].tobytes() for epoch in range(4) for index in (3, 4)]
    assert len(set(masks)) > 5  # Some masks may be equal.
    other = random_batches(20, seed=6)
    assert other.indices(0, 0).tolist() != batches.indices(0, 0).tolist()


def test_what_was_read_before_changes_nothing():
    batches, fresh = random_batches(), random_batches()
    for epoch, batch in ((3, 1), (0, 2), (3, 1), (1, 0)):
        assert_same([batches.batch(epoch, batch)], [fresh.batch(epoch, batch)])
    assert_same([random_batches().batch(3, 1)], [batches.batch(3, 1)])


def test_names():
    batches = random_batches(shard=(0, 1))
    assert batches.names(2, 1) == [f"example {index}" for index in batches.indices(2, 1)]
    named = random_batches(name_example="street {}.png".format)
    assert named.names(2, 1) == [f"street {index}.png" for index in batches.indices(2, 1)]
    with pytest.raises(IndexError, match="3 batches"):
        batches.names(0, 3)


# Invalid examples


HUM = OSError("the disk hums")


def read_some(bad, error=HUM):
    def read(index):
        if index in bad:
            raise error
        return read_example(index)

    return read


@pytest.mark.parametrize("error", [HUM, ImageFileError("b.png", ["the disk hums"])])
def test_a_bad_example_is_named_in_one_sentence(error):
    batches = Batches(
        read_some({3}, error), 5, batch_size=2, name_example=lambda index: f"{'abcbe'[index]}.png"
    )
    for read in (lambda: batches.batch(0, 1), lambda: list(batches.to_py_dataset())):
        with pytest.raises(ImageFileError) as caught:
            read()
        assert str(caught.value) == "b.png: the disk hums"
    fresh = Batches(
        read_some({3}, error), 5, batch_size=2, name_example=lambda index: f"{'abcbe'[index]}.png"
    )
    with pytest.raises(tf.errors.OpError):
        list(fresh.to_tf_dataset())
    assert str(fresh.error) == "b.png: the disk hums"


def test_a_bad_first_example_is_found_at_once():
    with pytest.raises(ImageFileError, match="^example 0: the disk hums$"):
        Batches(read_some({0}), 3)


def test_bad_examples_are_replaced_by_the_next_counted_and_logged_once(caplog):
    options = {"batch_size": 2, "image_size": (40, 60)}
    batches = Batches(read_some({0, 2, 3, 6}), 7, skip_bad_examples=True, **options)
    for _ in range(2):
        shown = [int(image.max()) for images, _ in numpy_epoch(batches, 0) for image in images]
        assert shown == [1, 1, 4, 4, 4, 5, 1]
    dataset = batches.to_tf_dataset()
    assert_same(tf_epoch(dataset), numpy_epoch(batches, 0))
    assert batches.skipped == {
        f"example {index}": f"example {index}: the disk hums" for index in (0, 2, 3, 6)
    }
    assert caplog.text.count("the disk hums") == 4
    assert batches.names(0, 0) == ["example 0", "example 1"]
    assert batches.error is None


def test_a_replacement_without_shuffling_does_not_count():
    batches = Batches(read_some({0, 2}), 3, batch_size=3, skip_bad_examples=True)
    _, masks = batches.batch(0, 0)
    assert (masks[[0, 2]] == 255).all() and (masks[1] == read_example(1)[1]).all()
    shuffled = Batches(read_some({0, 2}), 3, batch_size=3, skip_bad_examples=True, shuffle=True)
    _, masks = shuffled.batch(0, 0)
    assert (masks == read_example(1)[1]).all()


def test_skipping_stops_where_nothing_is_left():
    with pytest.raises(ImageFileError, match="no other example can be used"):
        Batches(read_some(range(4)), 4, skip_bad_examples=True)


def test_skipping_does_not_hide_faults_of_the_program():
    batches = Batches(read_some({1}, KeyError("typo")), 4, skip_bad_examples=True)
    with pytest.raises(KeyError):
        batches.batch(0, 0)
    assert isinstance(batches.error, KeyError)


@pytest.mark.parametrize(
    "other",
    [np.zeros((40, 60, 3), np.float32), np.zeros((40, 60, 1), np.uint8)],
)
def test_examples_unlike_the_first_are_refused(other):
    def read(index):
        return (other if index == 2 else read_example(0)[0]), read_example(0)[1]

    with pytest.raises(ImageFileError, match="example 2: must be uint8 with 3 channels"):
        numpy_epoch(Batches(read, 4, batch_size=2), 0)


# The batches that `fit` trains on


class Recorder(keras.Sequential):
    """A model that records the images of every training step and every test step."""

    def __init__(self):
        super().__init__([keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(3, 1)])
        self.seen, self.seen_in_tests = [], []
        self.compile(
            "sgd",
            keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255),
            metrics=["accuracy"],
            run_eagerly=True,
        )

    def train_step(self, data):
        self.seen.append(np.asarray(data[0]))
        return super().train_step(data)

    def test_step(self, data):
        self.seen_in_tests.append(np.asarray(data[0]))
        return super().test_step(data)


@pytest.mark.parametrize("num_batches", [1, 2, 4])
@pytest.mark.parametrize("method", ["to_py_dataset", "to_tf_dataset"])
def test_fit_sees_one_epoch_after_another(method, num_batches):
    batches = random_batches(3 * num_batches - 1)
    validation = random_batches(4, read_mixed_sizes, shuffle=False, augmentation=None)
    model = Recorder()
    train_data = getattr(batches, method)(initial_epoch=2)
    val_data = getattr(validation, method)()
    fit = {"validation_data": val_data, "verbose": 0, "shuffle": False}
    model.fit(train_data, initial_epoch=2, epochs=4, **fit)
    model.evaluate(val_data, verbose=0)
    model.fit(train_data, initial_epoch=4, epochs=6, **fit)
    expected = [images for epoch in range(2, 6) for images, _ in numpy_epoch(batches, epoch)]
    assert len(model.seen) == len(expected)
    for images, wanted in zip(model.seen, expected, strict=True):
        np.testing.assert_array_equal(images, wanted)
    expected = [images for images, _ in numpy_epoch(validation, 0)] * 5
    for images, wanted in zip(model.seen_in_tests, expected, strict=True):
        np.testing.assert_array_equal(images, wanted)


def test_a_look_at_the_first_batch_does_not_count_as_an_epoch():
    batches = random_batches()
    dataset = batches.to_py_dataset()
    assert dataset.workers == 1
    dataset[0]
    dataset.on_epoch_end()
    for epoch in range(2):
        assert_same(list(dataset), numpy_epoch(batches, epoch))
        dataset.on_epoch_end()
        dataset[0]
        dataset.on_epoch_end()


def test_datasets_go_by_the_epoch_that_they_are_told():
    batches = random_batches()
    tf_dataset, py_dataset = batches.to_tf_dataset(), batches.to_py_dataset()
    rest = batches.to_tf_dataset(2, initial_batch=1)
    ahead = tf_dataset.prefetch(10)  # reads the last batch when the first is requested
    for epoch in (0, 1, 5):
        list(ahead)
        batches.begin_epoch(epoch)
        for _ in range(2):
            assert_same(tf_epoch(tf_dataset), numpy_epoch(batches, epoch))
            assert_same(list(py_dataset), numpy_epoch(batches, epoch))
            py_dataset.on_epoch_end()
    assert_same(tf_epoch(rest), numpy_epoch(batches, 2, 1))


def test_py_dataset_reads_in_any_order():
    batches = random_batches(20)
    dataset = batches.to_py_dataset(workers=2)
    for batch in (6, 0, 3, 3, 1):
        assert_same([dataset[batch]], [batches.batch(0, batch)])
    with pytest.raises(IndexError, match="7 batches"):
        dataset[7]


@pytest.mark.parametrize(
    "options",
    [
        {"shard": (2, 2)},
        {"shard": (-1, 2)},
        {"shard": (0, 4)},  # more workers than examples in a batch
        {"shard": (0, 2)},  # the last batch has one example
        {"batch_size": 8, "drop_remainder": True},
    ],
)
def test_bad_arguments(options):
    with pytest.raises(ValueError, match=f"Received: .*{next(iter(options))}"):
        random_batches(**options)


@pytest.mark.parametrize("method", ["to_py_dataset", "to_tf_dataset"])
@pytest.mark.parametrize(
    "options", [{"initial_epoch": -1}, {"initial_batch": 3}, {"initial_batch": 0.5}]
)
def test_bad_start(method, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        getattr(random_batches(), method)(**options)
    with pytest.raises(ValueError, match="workers"):
        random_batches().to_py_dataset(workers=0)


def test_unknown_options_are_refused():
    with pytest.raises(TypeError, match="repeat"):
        random_batches(repeat=True)
