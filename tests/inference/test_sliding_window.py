import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eseg_keras.inference.sliding_window import slide, window_starts, window_weights


@st.composite
def axes(draw):
    length = draw(st.integers(1, 90))
    window = draw(st.integers(1, length))
    return length, window, draw(st.integers(0, window - 1))


@given(axes())
def test_windows_cover_the_axis_and_share_the_overlap(axis):
    length, window, overlap = axis
    starts = window_starts(length, window, overlap)
    assert starts[0] == 0 and starts[-1] == length - window
    assert all(b - a <= window - overlap for a, b in zip(starts, starts[1:], strict=False))
    # One window fewer would not cover the length.
    assert len(starts) == 1 or (len(starts) - 2) * (window - overlap) + window < length
    assert len(set(starts)) == len(starts)


@given(axes())
def test_weights_add_up_to_one_everywhere(axis):
    length, window, overlap = axis
    starts = window_starts(length, window, overlap)
    weights = window_weights(starts, window, overlap)
    total = np.zeros(length)
    for start, weight in zip(starts, weights, strict=True):
        assert (weight > 0).all()
        total[start : start + window] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)


@given(axes(), axes(), st.integers(1, 3))
def test_a_score_of_each_pixel_comes_back_whatever_the_windows(rows, columns, channels):
    (height, tall, over_y), (width, wide, over_x) = rows, columns
    image = np.random.default_rng(0).random((height, width, channels), dtype="float32")

    def score(parts):
        assert all(part[0] == parts[0][0] for part in parts)
        for part in parts:
            assert image[part].shape[:2] == (tall, wide)
            yield image[part]

    seen = np.zeros((height, width), int)
    for part, scores in slide((height, width), (tall, wide), (over_y, over_x), score):
        seen[part] += 1
        np.testing.assert_allclose(scores, image[part], atol=2e-6)
    assert (seen == 1).all()


def test_one_window_is_passed_on_bit_for_bit():
    image = np.random.default_rng(0).random((7, 9, 2), dtype="float32")
    ((part, scores),) = slide((7, 9), (7, 9), (3, 3), lambda parts: (image[p] for p in parts))
    assert part == (slice(0, 7), slice(0, 9))
    np.testing.assert_array_equal(scores, image)


def test_overlapping_windows_are_weighted_means_as_a_plain_sum_gives():
    rng = np.random.default_rng(0)
    size, window, overlap = (23, 31), (10, 12), (4, 7)
    tops, lefts = (window_starts(*a) for a in zip(size, window, overlap, strict=True))
    tiles = {(y, x): rng.random((*window, 2)) for y in tops for x in lefts}
    total, weight = np.zeros((*size, 2)), np.zeros((*size, 1))
    for (y, x), tile in tiles.items():
        fall = [
            np.minimum(np.minimum(np.arange(w) + 1, w - np.arange(w)), o + 1)
            for w, o in zip(window, overlap, strict=True)
        ]
        ramp = (fall[0][:, None] * fall[1][None])[..., None]
        total[y : y + window[0], x : x + window[1]] += tile * ramp
        weight[y : y + window[0], x : x + window[1]] += ramp

    def score(parts):
        yield from (tiles[rows.start, columns.start].astype("float32") for rows, columns in parts)

    for part, scores in slide(size, window, overlap, score):
        np.testing.assert_allclose(scores, (total / weight)[part], rtol=1e-5)


@pytest.mark.parametrize("length", [100, 101, 159])
def test_a_longer_overlap_than_half_the_window_needs_three_at_a_pixel(length):
    starts = window_starts(length, 60, 45)
    covered = np.zeros(length, int)
    for start in starts:
        covered[start : start + 60] += 1
    assert covered.max() >= 3
