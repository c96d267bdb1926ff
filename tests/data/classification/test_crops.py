"""Crops for classification: random in training, central in validation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eseg_keras.data.classification import central_crop, random_resized_crop
from eseg_keras.data.classification.batches import _random_box


def coordinates(height, width):
    """Return an image with the row as red channel, the column as green."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.zeros_like(rows)], -1).astype("uint8")


@settings(max_examples=50)
@given(st.integers(0, 1000), st.integers(1, 200), st.integers(1, 200))
def test_boxes_lie_inside_and_have_the_shape_asked_for(seed, height, width):
    rng = np.random.default_rng(seed)
    left, top, right, bottom = _random_box((height, width), rng, (0.08, 1.0), (3 / 4, 4 / 3))
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    box_height, box_width = bottom - top, right - left
    # Each side is rounded by half a pixel at most.
    assert (box_width - 0.5) / (box_height + 0.5) <= 4 / 3 or box_width == 1
    assert (box_width + 0.5) / (box_height - 0.5) >= 3 / 4 or box_height == 1


def test_areas_cover_the_range_evenly():
    rng = np.random.default_rng(0)
    boxes = [_random_box((1000, 1000), rng, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(2000)]
    left, top, right, bottom = np.array(boxes).T
    areas = (right - left) * (bottom - top) / 1e6
    assert 0.08 <= areas.min() < 0.1 and areas.max() > 0.9
    # Large boxes that are not square may not fit and are drawn again, so that the mean area is
    # below 0.54.
    assert 0.4 < np.mean(areas) < 0.54
    assert 0.45 < np.mean((left + right) / 2000) < 0.55
    ratios = np.log((right - left) / (bottom - top))
    assert abs(np.mean(ratios)) < 0.02 and np.abs(ratios).max() > 0.28


def test_random_crop_shows_one_part_mirrored_half_of_the_time():
    photo, mirrored = coordinates(120, 160), 0
    for seed in range(60):
        part = random_resized_crop(photo, (32, 48), np.random.default_rng(seed)).astype(int)
        assert part.shape == (32, 48, 3)
        rows, columns = part[..., 0], part[..., 1]
        # The crop is a gradient too: its red is constant in each row, its green in each column.
        assert np.ptp(rows, axis=1).max() <= 1 and np.ptp(columns, axis=0).max() <= 1
        assert (np.diff(rows[:, 0]) >= 0).all() and rows[-1, 0] > rows[0, 0]
        mirrored += columns[0, 0] > columns[0, -1]
    assert 18 <= mirrored <= 42


def test_random_crop_of_the_whole_is_the_photo():
    photo = coordinates(64, 64)
    seen = {
        random_resized_crop(
            photo, (64, 64), np.random.default_rng(seed), area=(1, 1), ratio=(1, 1)
        ).tobytes()
        for seed in range(9)
    }
    assert seen == {photo.tobytes(), photo[:, ::-1].tobytes()}


@pytest.mark.parametrize("shape", [(96, 128), (128, 96), (32, 32), (40, 300)])
def test_middle_is_seven_eighths_of_the_shorter_side(shape):
    photo = coordinates(*shape)[..., [0, 1, 1]].clip(0, 255)
    middle = central_crop(photo, (28, 28)).astype(float)
    side = 0.875 * min(shape)
    for axis, channel in ((0, 0), (1, 1)):
        line = middle[:, 0, channel] if axis == 0 else middle[0, :, channel]
        if shape[axis] > 256:
            continue  # The uint8 gradient wraps around.
        # The value at the centre of the first of 28 equal steps across the central square; the
        # value at the last step is symmetric.
        first = shape[axis] / 2 - side / 2 + side / 56 - 0.5
        assert abs(line[0] - first) <= 1 and abs(line[-1] - (shape[axis] - 1 - first)) <= 1


def test_middle_of_another_shape_stays_inside():
    middle = central_crop(coordinates(100, 100), (32, 64)).astype(int)
    # The crop has 7/8 of the image's width, and is half as high as it is wide.
    assert abs(np.ptp(middle[0, :, 1]) - 87.5 * 63 / 64) <= 2
    assert abs(np.ptp(middle[:, 0, 0]) - 43.75 * 31 / 32) <= 2
