import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eseg_keras.evaluation import ImageScores
from eseg_keras.evaluation.worst_images import WorstImages
from eseg_keras.inference import Prediction

CLASSES = {"class_names": ("road", "sky"), "palette": ((1, 2, 3), (4, 5, 6)), "ignore_label": 255}


def prediction_of(image, label_map):
    return Prediction(name="any", image=image, label_map=label_map, **CLASSES)


def add(worst, name, iou, accuracy=0.5, size=(8, 8)):
    labels = np.zeros(size, "uint8")
    prediction = prediction_of(np.zeros((*size, 3), "uint8"), labels)
    worst.add(prediction, labels, ImageScores(name, iou, accuracy, labels.size))


SHARES = st.sampled_from([0.0, 0.25, 0.5, 1.0])


@given(st.lists(st.tuples(SHARES | st.none(), SHARES)), st.integers(1, 5))
def test_those_kept_are_the_first_of_a_sort(scores, count):
    worst = WorstImages(count)
    for index, (iou, accuracy) in enumerate(scores):
        add(worst, str(index), iou, None if iou is None else accuracy)
    rated = [(iou, accuracy, i) for i, (iou, accuracy) in enumerate(scores) if iou is not None]
    expected = [str(index) for *_, index in sorted(rated)[:count]]
    assert [item.name for item in worst.images()] == expected
    assert len(worst.images()) <= count


def test_copies_are_small_and_belong_together():
    image = np.zeros((700, 1400, 3), "uint8")
    image[:, 700:] = 200
    mask = np.zeros((700, 1400), "uint8")
    mask[:, 700:] = 1
    worst = WorstImages()
    prediction = prediction_of(image, 1 - mask)
    worst.add(prediction, mask, ImageScores("a", 0.25, 0.5, mask.size))
    (item,) = worst.images()
    assert (item.mean_iou, item.pixel_accuracy) == (0.25, 0.5)
    assert item.image.shape == (320, 640, 3)
    assert item.mask.shape == item.prediction.shape == (320, 640)
    assert set(np.unique(item.mask)) == {0, 1}
    np.testing.assert_array_equal(item.mask, 1 - item.prediction)
    assert (item.image[:, 330:] == 200).all() and (item.image[:, :310] == 0).all()
    assert (item.mask[:, 330:] == 1).all() and (item.mask[:, :310] == 0).all()
    assert worst.palette == CLASSES["palette"]


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (640, 3), (641, 641)])
def test_any_size(size):
    worst = WorstImages()
    add(worst, "a", 0.5, size=size)
    (item,) = worst.images()
    assert max(item.mask.shape) == min(640, max(size)) and min(item.mask.shape) >= 1
    if max(size) <= 640:
        assert item.mask.shape == size


@pytest.mark.parametrize("channels", [1, 5])
def test_images_of_other_channels_are_shown_in_grey(channels):
    image = np.zeros((4, 4, channels), "uint8")
    image[..., 0] = 70
    labels = np.zeros((4, 4), "uint8")
    worst = WorstImages()
    worst.add(prediction_of(image, labels), labels, ImageScores("a", 0.5, 0.5, 16))
    assert (worst.images()[0].image == 70).all() and worst.images()[0].image.shape == (4, 4, 3)


def test_images_themselves_are_not_kept():
    worst = WorstImages(count=2)
    tracemalloc.start()
    try:
        for index in range(6):
            # Each image is worse than the images before it.
            add(worst, str(index), 1 - index / 10, size=(1600, 1600))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Two images of 640x640 pixels, with five bytes per pixel.
    assert kept < 2 * 640 * 640 * 5 + 1_000_000


def test_count_is_positive():
    with pytest.raises(ValueError, match="count=0"):
        WorstImages(0)
