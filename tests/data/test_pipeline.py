import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from eseg_keras.data import Augmentation, Batches


def read_example(index, size=(40, 60)):
    """Return an image filled with the index, and a mask of columns modulo 3."""
    mask = np.tile(np.arange(size[1]) % 3, (size[0], 1)).astype(np.uint8)
    return np.full((*size, 3), index, np.uint8), mask


def build_dataset(*arguments, initial_epoch=0, **options):
    return Batches(*arguments, **options).to_tf_dataset(initial_epoch)


def read_mixed_sizes(index):
    return read_example(index, (32 + index, 50 - 2 * index))


def random_options(**options):
    return {
        "image_size": (24, 32),
        "batch_size": 2,
        "augmentation": Augmentation(),
        "shuffle": True,
        **options,
    }


def epoch(dataset):
    """Return all batches of one epoch as NumPy arrays."""
    return [tuple(tensor.numpy() for tensor in batch) for batch in dataset]


def order(batches):
    return [int(index) for images, *_ in batches for index in images.max(axis=(1, 2, 3))]


def same(first, second):
    return len(first) == len(second) and all(
        np.array_equal(left, right)
        for batch, other in zip(first, second, strict=True)
        for left, right in zip(batch, other, strict=True)
    )


def test_shapes_and_types():
    dataset = build_dataset(read_example, 5, **random_options(class_weights=[1.0, 2.0, 3.0]))
    assert len(dataset) == 3
    images, masks, weights = dataset.element_spec
    assert images == tf.TensorSpec((None, 24, 32, 3), tf.uint8)
    assert masks == tf.TensorSpec((None, 24, 32), tf.uint8)
    assert weights == tf.TensorSpec((None, 24, 32), tf.float32)
    assert [batch[0].shape for batch in epoch(dataset)] == [(2, 24, 32, 3)] * 2 + [(1, 24, 32, 3)]


def test_drop_remainder_gives_static_batches():
    dataset = build_dataset(read_example, 5, **random_options(drop_remainder=True))
    assert dataset.element_spec[0].shape == (2, 24, 32, 3)
    assert len(dataset) == len(epoch(dataset)) == 2


@pytest.mark.parametrize("dtype, channels", [(np.uint8, 1), (np.float32, 3), (np.float32, 13)])
def test_other_images(dtype, channels):
    def read(index):
        return np.full((40, 60, channels), index, dtype), np.zeros((40, 60), np.uint8)

    for options in (random_options(), {}):
        images, _ = next(iter(build_dataset(read, 3, **options)))
        assert images.dtype == dtype and images.shape[-1] == channels


def test_without_options_examples_come_as_they_are_in_their_order():
    batches = epoch(build_dataset(read_mixed_sizes, 5, batch_size=1))
    for index, (images, masks) in enumerate(batches):
        image, mask = read_mixed_sizes(index)
        np.testing.assert_array_equal(images, image[None])
        np.testing.assert_array_equal(masks, mask[None])
    assert len(batches) == 5


def test_mixed_sizes_are_filled_up_to_the_largest_of_the_batch():
    dataset = build_dataset(
        read_mixed_sizes, 4, batch_size=4, class_weights=[1.0, 1.0, 1.0], ignore_label=77
    )
    assert dataset.element_spec[0].shape == (None, None, None, 3)
    (images, masks, weights) = epoch(dataset)[0]
    assert images.shape == (4, 35, 50, 3) and masks.shape == weights.shape == (4, 35, 50)
    for index in range(4):
        image, mask = read_mixed_sizes(index)
        height, width = mask.shape
        np.testing.assert_array_equal(images[index, :height, :width], image)
        np.testing.assert_array_equal(masks[index, :height, :width], mask)
        outside = np.ones((35, 50), bool)
        outside[:height, :width] = False
        assert (images[index][outside] == 127).all()
        assert (masks[index][outside] == 77).all()
        np.testing.assert_array_equal(weights[index] == 0, outside)


def test_image_size_alone_fits_examples_whole():
    (images, masks) = epoch(build_dataset(read_example, 2, image_size=(20, 60)))[0]
    assert images.shape == (2, 20, 60, 3)
    assert (masks[:, :, :30] < 3).all() and (masks[:, :, 30:] == 255).all()


def test_sample_weights_are_those_of_the_labels():
    weights = np.array([0.25, 0.0, 3.0], np.float32)
    small = Augmentation(scale=(0.3, 0.5))
    dataset = build_dataset(
        read_example, 6, **random_options(class_weights=weights, augmentation=small)
    )
    seen = set()
    for _, masks, sample_weights in epoch(dataset):
        for label in np.unique(masks):
            expected = 0.0 if label == 255 else weights[label]
            assert (sample_weights[masks == label] == expected).all()
            seen.add(int(label))
    assert seen == {0, 1, 2, 255}


def test_same_seed_same_batches_another_seed_others():
    first = epoch(build_dataset(read_example, 9, **random_options(seed=1)))
    again = epoch(build_dataset(read_example, 9, **random_options(seed=1)))
    other = epoch(build_dataset(read_example, 9, **random_options(seed=2)))
    assert same(first, again)
    assert not same(first, other) and order(first) != order(other)


def test_every_epoch_is_another_and_holds_every_example_once():
    dataset = build_dataset(
        read_example, 20, **random_options(augmentation=Augmentation(fill=(0, 0, 0)))
    )
    epochs = [order(epoch(dataset)) for _ in range(3)]
    assert all(sorted(indices) == list(range(20)) for indices in epochs)
    assert len(set(map(tuple, epochs))) == 3


def test_augmentation_differs_between_epochs_and_examples():
    dataset = build_dataset(
        lambda _: read_example(0), 3, **random_options(shuffle=False, batch_size=1)
    )
    masks = [masks.tobytes() for _ in range(3) for _, masks in epoch(dataset)]
    assert len(set(masks)) == 9


@pytest.mark.parametrize("begun", [1, 2])
def test_initial_epoch_goes_on_where_another_run_stopped(begun):
    whole = build_dataset(read_example, 7, **random_options())
    epochs = [epoch(whole) for _ in range(begun + 2)]
    rest = build_dataset(read_example, 7, **random_options(initial_epoch=begun))
    assert same(epoch(rest), epochs[begun])
    assert same(epoch(rest), epochs[begun + 1])


def test_a_look_at_the_first_batch_does_not_count_as_an_epoch():
    expected = build_dataset(read_example, 7, **random_options())
    dataset = build_dataset(read_example, 7, **random_options())
    next(iter(dataset))
    for _ in range(2):
        assert same(epoch(dataset), epoch(expected))
        next(iter(dataset))


def test_repeat_goes_through_the_epochs():
    expected = build_dataset(read_example, 4, **random_options())
    repeated = build_dataset(read_example, 4, **random_options()).repeat(3)
    assert same(epoch(repeated), epoch(expected) + epoch(expected) + epoch(expected))


def test_order_and_augmentation_do_not_depend_on_the_speed_of_reading():
    def read_slowly(index):
        time.sleep(0.02 * (index % 3))
        return read_example(index)

    expected = build_dataset(read_example, 8, **random_options())
    slow = build_dataset(read_slowly, 8, **random_options())
    assert same(epoch(slow), epoch(expected))


def test_cache_reads_every_example_once_and_changes_nothing():
    reads = []

    def read(index):
        reads.append(index)
        return read_example(index)

    cached = build_dataset(read, 5, **random_options(cache=True))
    expected = build_dataset(read_example, 5, **random_options())
    for _ in range(3):
        assert same(epoch(cached), epoch(expected))
    assert sorted(reads) == [0, 1, 2, 3, 4]


def test_fit_sees_one_epoch_after_another():
    seen = []

    def read(index):
        image, mask = read_example(index)
        return image.astype(np.float32), mask

    class Model(keras.Sequential):
        def train_step(self, data):
            tf.numpy_function(lambda images: seen.append(images), [data[0]], [])
            return super().train_step(data)

    model = Model([keras.layers.Conv2D(3, 1)])
    model.compile(
        "sgd",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255),
        run_eagerly=True,
    )
    train = build_dataset(read, 6, **random_options(class_weights=[1.0, 1.0, 1.0]))
    validation = build_dataset(read, 3, batch_size=2)
    history = model.fit(train, validation_data=validation, epochs=3, verbose=0, shuffle=False)
    assert len(history.history["val_loss"]) == 3
    expected = build_dataset(read, 6, **random_options())
    images = [batch[0] for _ in range(3) for batch in epoch(expected)]
    # Compare only the last nine batches: Keras may have read further batches before, to build the
    # model.
    np.testing.assert_array_equal(np.stack(seen[-9:]), np.stack(images))


def test_an_error_while_reading_names_the_file():
    def read(index):
        if index == 3:
            raise ValueError("street 3.png is broken")
        return read_example(index)

    with pytest.raises(tf.errors.InvalidArgumentError, match="street 3.png is broken"):
        epoch(build_dataset(read, 5))


@pytest.mark.parametrize(
    "image, mask",
    [
        (np.zeros((4, 4, 3), np.int32), np.zeros((4, 4), np.uint8)),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.int64)),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 1), np.uint8)),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 4), np.uint8)),
    ],
)
def test_examples_of_another_form_are_refused_at_once(image, mask):
    with pytest.raises(ValueError, match="example 0: must be .* Received: image"):
        build_dataset(lambda _: (image, mask), 3)


@pytest.mark.parametrize(
    "options",
    [
        {"num_examples": 0},
        {"batch_size": 0},
        {"batch_size": 1.5},
        {"seed": -1},
        {"initial_epoch": -1},
        {"image_size": (3,)},
        {"image_size": (0, 4)},
        {"image_size": None},
        {"class_weights": [1.0, -1.0]},
        {"ignore_label": 7},
        {"batch_size": 6, "drop_remainder": True},
    ],
)
def test_bad_arguments(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        build_dataset(read_example, **{"num_examples": 5} | random_options(**options))


def test_label_without_a_class_weight():
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"example 0: .*2 classes.*\[2\]"):
        epoch(build_dataset(read_example, 2, class_weights=[1.0, 1.0]))
