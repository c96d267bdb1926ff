"""Batches of labelled images depend only on seed, epoch and batch number."""

import time

import keras
import numpy as np
import pytest

from eseg_keras.data.classification import ClassificationBatches, central_crop
from eseg_keras.data.images.image_reader import ImageFileError
from eseg_keras.models.classifier import Classifier


class Examples:
    """Eleven images of noise; the label of an image is its index."""

    def __len__(self):
        return 11

    def read(self, index):
        time.sleep(0.004 * (index % 3))  # Reads do not finish in the order in which they start.
        rng = np.random.default_rng(index)
        return rng.integers(0, 256, (40 + index, 60, 3)).astype("uint8"), index

    def name(self, index):
        return f"photo {index}"


def batches(**options):
    return ClassificationBatches(
        Examples(), (32, 24), **{"batch_size": 4, "augment": True, "shuffle": True} | options
    )


def epoch_of(source, epoch):
    return [source.batch(epoch, number) for number in range(len(source))]


def assert_same(some, others):
    for batch, other in zip(some, others, strict=True):
        for array, again in zip(batch, other, strict=True):
            again = np.asarray(again)
            assert array.dtype == again.dtype
            np.testing.assert_array_equal(array, again)


def test_a_batch_depends_on_seed_epoch_and_number_alone():
    source = batches(seed=3)
    backwards = [source.batch(1, number) for number in (2, 1, 0)][::-1]
    assert_same(backwards, epoch_of(batches(seed=3), 1))
    labels = np.concatenate([labels for _, labels in backwards])
    assert sorted(labels) == list(range(11)) and labels.dtype == np.int32
    assert source.names(1, 0) == [f"photo {label}" for label in backwards[0][1]]
    for other in (epoch_of(batches(seed=3), 2), epoch_of(batches(seed=4), 1)):
        assert np.concatenate([labels for _, labels in other]).tolist() != labels.tolist()


def test_crops_change_from_epoch_to_epoch():
    source = batches(shuffle=False)
    first, second = source.batch(0, 0), source.batch(1, 0)
    np.testing.assert_array_equal(first[1], second[1])
    assert all((a != b).any() for a, b in zip(first[0], second[0], strict=True))


def test_evaluation_sees_the_middle():
    images, labels = batches(augment=False, shuffle=False).batch(5, 1)
    assert labels.tolist() == [4, 5, 6, 7]
    np.testing.assert_array_equal(images[0], central_crop(Examples().read(4)[0], (32, 24)))


@pytest.mark.parametrize("num_workers", [2, 3])
def test_shards_are_the_parts_of_a_batch(num_workers):
    shards = [batches(shard=(worker, num_workers)) for worker in range(num_workers)]
    for number, whole in enumerate(epoch_of(batches(), 0)):
        parts = [shard.batch(0, number) for shard in shards]
        joined = tuple(map(np.concatenate, zip(*parts, strict=True)))
        assert_same([joined], [whole])


@pytest.mark.parametrize("drop_remainder", [False, True])
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.data")
def test_tf_data_gives_the_same(drop_remainder):
    source = batches(drop_remainder=drop_remainder)
    dataset = source.to_tf_dataset(initial_epoch=2)
    assert len(dataset) == len(source) == (2 if drop_remainder else 3)
    assert dataset.element_spec[0].shape[1:] == (32, 24, 3)
    next(iter(dataset))  # Reading only the first batch changes nothing.
    for epoch in (2, 3):
        assert_same(epoch_of(source, epoch), list(dataset))
    rest = source.to_tf_dataset(initial_epoch=2, initial_batch=1)
    for _ in range(2):
        assert_same(epoch_of(source, 2)[1:], list(rest))
    source.begin_epoch(7)
    assert_same(epoch_of(source, 7), list(dataset))


def test_py_dataset_gives_the_same():
    source = batches()
    dataset = source.to_py_dataset(initial_epoch=2, workers=2)
    assert_same(epoch_of(source, 2), [dataset[number] for number in range(len(dataset))])


class SomeUnreadable(Examples):
    def __init__(self, *unreadable):
        self.unreadable = unreadable

    def read(self, index):
        if index in self.unreadable:
            raise ImageFileError(self.name(index), ["is torn"])
        return super().read(index)


def test_an_unreadable_photo_names_itself():
    source = ClassificationBatches(SomeUnreadable(6), (32, 24), batch_size=4)
    with pytest.raises(ImageFileError, match="photo 6: is torn"):
        source.batch(0, 1)
    assert isinstance(source.error, ImageFileError)


def test_an_unreadable_photo_is_replaced_by_the_next(caplog):
    options = {"batch_size": 4, "skip_bad_examples": True}
    source = ClassificationBatches(SomeUnreadable(6, 7), (32, 24), **options)
    for _ in range(2):
        assert source.batch(0, 1)[1].tolist() == [4, 5, 8, 8]
    assert source.skipped == {f"photo {i}": f"photo {i}: is torn" for i in (6, 7)}
    assert caplog.text.count("is torn") == 2
    source = ClassificationBatches(SomeUnreadable(*range(11)), (32, 24), **options)
    with pytest.raises(ImageFileError):
        source.batch(0, 0)


def test_classifier_trains_on_them():
    images = keras.Input((32, 24, 3))
    features = {"P3": keras.layers.Conv2D(2, 3, strides=8, padding="same")(images)}
    model = Classifier(
        keras.Model(images, features), num_classes=11, channels=4, image_shape=(32, 24, 3)
    )
    model.compile("sgd")
    source = batches()
    if keras.backend.backend() == "tensorflow":
        dataset = source.to_tf_dataset()
    else:
        dataset = source.to_py_dataset()
    logs = model.fit(dataset, shuffle=False, epochs=2, verbose=0).history
    assert np.isfinite(logs["loss"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"seed": -1}, "seed=-1"),
        ({"batch_size": 12, "drop_remainder": True}, "drops the only batch"),
        ({"shard": (2, 2)}, "shard=.2, 2."),
    ],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        batches(**options)


def test_size_and_first_batch_are_checked():
    with pytest.raises(ValueError, match="image_size="):
        ClassificationBatches(Examples(), (32, 0))
    with pytest.raises(ValueError, match="below 3"):
        batches().to_py_dataset(initial_batch=3)
    with pytest.raises(IndexError, match="batch=3"):
        batches().batch(0, 3)
