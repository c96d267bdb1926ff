import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eseg_keras.data.photometric_distortion import (
    PhotometricDistortion,
    change_color,
    change_tone,
)

NOTHING = {"brightness": 0, "contrast": (1, 1), "saturation": (1, 1), "hue": 0}


def photo(seed, size=(24, 40)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def recolored(image, saturate, turn):
    """Compute `change_color` pixel by pixel in floats."""
    pixels = []
    for pixel in image.reshape(-1, 3) / 255:
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        hue, saturation = (hue + turn / 360) % 1, min(1, saturation * saturate)
        pixels.append(colorsys.hsv_to_rgb(hue, saturation, value))
    return np.reshape(pixels, image.shape) * 255


@given(st.floats(0, 2), st.floats(-180, 180), st.integers(0, 2**32))
def test_saturation_and_hue_are_those_of_hsv(saturate, turn, seed):
    image = photo(seed)
    changed = change_color(image, saturate, turn)
    assert changed.dtype == np.uint8 and changed.shape == image.shape
    error = changed - recolored(image, saturate, turn)
    # With 8-bit HSV, single pixels may differ by several levels, without bias.
    assert np.abs(error).max() < 14 and np.abs(error).mean() < 2 and abs(error.mean()) < 0.5


@given(st.floats(-255, 255), st.floats(0, 3), st.integers(0, 2**32))
def test_tone_adds_then_multiplies_and_stays_within_bytes(add, times, seed):
    image = photo(seed)
    added = np.clip(np.rint(image.astype(np.float64) + add), 0, 255)
    expected = np.clip(np.rint(added * times), 0, 255)
    np.testing.assert_array_equal(change_tone(image, add, times), expected)


@given(st.integers(0, 2**32))
def test_same_generator_same_result_and_the_photo_stays_as_it_is(seed):
    image, before = photo(seed), photo(seed)
    distort = PhotometricDistortion()
    first, again = (distort(image, np.random.default_rng(seed)) for _ in range(2))
    assert first.dtype == np.uint8 and first.shape == image.shape
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(image, before)


@given(st.integers(0, 2**32))
def test_without_strength_nothing_changes(seed):
    changed = PhotometricDistortion(**NOTHING)(photo(seed), np.random.default_rng(seed))
    np.testing.assert_array_equal(changed, photo(seed))


def amounts(option, measure, value):
    """Measure the change that one option makes, for many seeds."""
    distort = PhotometricDistortion(**NOTHING | {option: value})
    image = np.full((2, 2, 3), (150, 100, 100), np.uint8)
    found = [
        measure(distort(image, np.random.default_rng(seed))[0, 0].tolist()) for seed in range(400)
    ]
    return np.array(found, float)


@pytest.mark.parametrize(
    "option, value, measure, range_",
    [
        ("brightness", 32, lambda pixel: pixel[0] - 150, (-32, 32)),
        ("contrast", (0.5, 1.5), lambda pixel: pixel[0] / 150, (0.5, 1.5)),
        ("saturation", (0.5, 1.5), lambda pixel: (pixel[0] - pixel[1]) / 50, (0.5, 1.5)),
        (
            "hue",
            36,
            # from -180 to 180 degrees
            lambda pixel: ((colorsys.rgb_to_hsv(*pixel)[0] + 0.5) % 1 - 0.5) * 360,
            (-36, 36),
        ),
    ],
)
def test_each_happens_half_of_the_time_within_its_range(option, value, measure, range_):
    found = amounts(option, measure, value)
    nothing = (range_[0] + range_[1]) / 2
    slack = (range_[1] - range_[0]) * 0.03
    assert found.min() >= range_[0] - slack and found.max() <= range_[1] + slack
    assert found.min() < range_[0] + 3 * slack and found.max() > range_[1] - 3 * slack
    unchanged = np.isclose(found, nothing).mean()
    assert 0.42 < unchanged < 0.65  # includes changes that are too small to measure
    changed = found[~np.isclose(found, nothing)]
    assert abs(changed.mean() - nothing) < (range_[1] - range_[0]) * 0.06


def test_contrast_comes_before_or_after_the_colours():
    """Contrast clips values here, so the result depends on the order."""
    image = np.full((1, 1, 3), (250, 200, 100), np.uint8)
    distort = PhotometricDistortion(**NOTHING | {"contrast": (1.5, 1.5), "saturation": (0.5, 0.5)})
    seen = {tuple(distort(image, np.random.default_rng(seed))[0, 0]) for seed in range(100)}
    first = change_color(change_tone(image, 0, 1.5), 0.5, 0)[0, 0]
    last = change_tone(change_color(image, 0.5, 0), 0, 1.5)[0, 0]
    assert tuple(first) != tuple(last)
    assert {tuple(first), tuple(last)} <= seen
    assert len(seen) == 5  # both orders, contrast alone, saturation alone, and no change


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((4, 4), np.uint8),
    ],
)
def test_other_images_are_refused(image):
    with pytest.raises(ValueError, match=r"uint8 \[H, W, 3\]. Received: .*Convert"):
        PhotometricDistortion()(image, np.random.default_rng(0))


@pytest.mark.parametrize(
    "options",
    [
        {"brightness": -1},
        {"brightness": 256},
        {"hue": 181},
        {"contrast": (1.5, 0.5)},
        {"saturation": (-0.1, 1)},
    ],
)
def test_bad_strengths_are_refused(options):
    with pytest.raises(ValueError, match=f"Received: {next(iter(options))}"):
        PhotometricDistortion(**options)
