"""One warning for images whose range is not 0..255, for every input type of `fit`."""

import keras
import numpy as np
import pytest

from eseg_keras.trainer import TrainingModel
from eseg_keras.trainer.data_checks import check_first_images

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("uint8")
MASKS = np.zeros((2, 4, 4), "uint8")


class Batches(keras.utils.PyDataset):
    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.images, MASKS


def as_tf_data(images):
    tensorflow = pytest.importorskip("tensorflow")
    return tensorflow.data.Dataset.from_tensors((images, MASKS))


@pytest.mark.parametrize("wrap", [lambda images: images, Batches, as_tf_data])
@pytest.mark.parametrize(
    ("images", "is_warned"),
    [
        (IMAGES, False),
        (IMAGES.astype("float32"), False),
        (IMAGES / 255.0, True),
        (IMAGES / 127.5 - 1, False),
        (np.minimum(IMAGES, 1), False),
        (np.zeros((2, 4, 4, 3)), False),
    ],
)
def test_range(caplog, wrap, images, is_warned):
    check_first_images(wrap(images))
    assert ("multiply by 255" in caplog.text) == is_warned


@pytest.mark.parametrize("wrap", [lambda images: images, Batches, as_tf_data])
@pytest.mark.parametrize(
    "images",
    [
        IMAGES / 127.5 - 1,
        (IMAGES - [123.7, 116.3, 103.5]) / [58.4, 57.1, 57.4],
        IMAGES * 2.0,
        IMAGES.astype("uint16") * 257,
        IMAGES - 200.0,
    ],
)
def test_other_ranges(caplog, wrap, images):
    check_first_images(wrap(images))
    assert "scale the images to this range" in caplog.text
    caplog.clear()
    # Small deviations from the range are allowed, as from augmentation.
    check_first_images(wrap(IMAGES * 1.3 - 40))
    assert not caplog.text


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("wrap", [lambda images: images, Batches, as_tf_data])
def test_values_that_are_not_finite(wrap, value):
    images = IMAGES.astype("float32")
    images[1, 2, 3, 0] = value
    with pytest.raises(ValueError, match="The first images have values from"):
        check_first_images(wrap(images))


def test_fit_warns_once(caplog):
    images = keras.Input((4, 4, 3))
    model = TrainingModel(images, keras.layers.Conv2D(2, 1)(images))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for _ in range(2):
        model.fit(IMAGES / 255.0, MASKS, verbose=0)
    assert caplog.text.count("multiply by 255") == 1


def test_other_data_is_left_alone(caplog):
    batches = iter([IMAGES / 255.0])
    for data in (None, batches, np.zeros((2, 3)), IMAGES[:0] / 255.0):
        check_first_images(data)
    assert not caplog.text
    assert len(list(batches)) == 1  # An iterator that cannot restart is not read.


def test_the_first_of_several_inputs_counts(caplog):
    check_first_images([IMAGES, IMAGES / 255.0])
    assert not caplog.text
    check_first_images([IMAGES / 255.0, IMAGES])
    assert caplog.text.count("multiply by 255") == 1
