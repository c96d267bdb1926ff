import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eseg_keras.evaluation.rules import count_pixels


@given(
    num_classes=st.integers(1, 255),
    ignore_label=st.integers(0, 255),
    seed=st.integers(0, 2**32 - 1),
)
def test_each_pixel_is_counted_once(num_classes, ignore_label, seed):
    rng = np.random.default_rng(seed)
    mask = rng.choice([*range(num_classes), ignore_label], (7, 5)).astype(np.uint8)
    label_map = rng.integers(0, 256, (7, 5), np.uint8)
    expected = np.zeros((num_classes, num_classes + 1), int)
    for label, predicted in zip(mask.ravel(), label_map.ravel(), strict=True):
        if label != ignore_label:
            expected[label, min(predicted, num_classes)] += 1
    counts = count_pixels(mask, label_map, num_classes, ignore_label, "a.png")
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, expected)


def test_other_labels_are_named():
    mask = np.array([[0, 1, 7], [7, 255, 9]], np.uint8)
    label_map = np.zeros((2, 3), np.uint8)
    with pytest.raises(ValueError, match=r"^photos/a\.png: .* 7 \(2 pixels\), 9 \(1 pixels\)\. "):
        count_pixels(mask, label_map, 2, 255, "photos/a.png")
    # An image that is read as a mask by mistake may contain all values.
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16)
    with pytest.raises(ValueError, match="9 .* and 245 more"):
        count_pixels(mask, np.zeros_like(mask), 2, 255, "photos/a.png")


@pytest.mark.parametrize(
    "mask, label_map",
    [
        (np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8)),
        (np.zeros((2, 3), np.int64), np.zeros((2, 3), np.uint8)),
        (np.zeros((2, 3), np.uint8), np.zeros((2, 3), np.float32)),
    ],
)
def test_other_arrays_are_refused(mask, label_map):
    with pytest.raises(ValueError, match=r"^photos/a\.png: mask and prediction must be uint8"):
        count_pixels(mask, label_map, 2, 255, "photos/a.png")
