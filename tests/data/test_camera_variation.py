"""Colour cast, blur and noise of many seeds, measured in the results."""

import numpy as np
import pytest

from eseg_keras.data import Augmentation, CameraVariation

NOTHING = {"cast": 0, "blur": 0, "noise": 0}


def photo(seed, size=(24, 40)):
    return np.random.default_rng(seed).integers(40, 200, (*size, 3), dtype=np.uint8)


def changed(image, count=40, **options):
    """Return the results of several seeds that differ from the image."""
    vary = CameraVariation(**NOTHING | options)
    results = [vary(image, np.random.default_rng(seed)) for seed in range(count)]
    assert all(result.dtype == np.uint8 and result.shape == image.shape for result in results)
    found = [result for result in results if not np.array_equal(result, image)]
    # Each step is applied with probability 0.5.
    assert 0.25 * count < len(found) < 0.75 * count
    return found


def test_the_cast_multiplies_red_and_blue():
    image = photo(0)
    factors = []
    for result in changed(image, cast=0.2):
        np.testing.assert_array_equal(result[..., 1], image[..., 1])
        ratios = [result[..., c].mean() / image[..., c].mean() for c in (0, 2)]
        for channel, ratio in zip((0, 2), ratios, strict=True):
            np.testing.assert_allclose(result[..., channel], ratio * image[..., channel], atol=1)
        factors.append(ratios)
    factors = np.array(factors)
    assert factors.min() > 0.79 and factors.max() < 1.21 and factors.std(axis=0).min() > 0.08
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.6


def test_the_blur_is_gaussian():
    point = np.zeros((33, 33, 3), np.uint8)
    point[16, 16] = 255
    offsets = np.arange(33) - 16
    spreads = []
    for result in changed(point, blur=3.0):
        weights = result[..., 0].astype(float)
        if weights.sum() > 0:
            spreads.append(np.sqrt((weights.sum(0) * offsets**2).sum() / weights.sum()))
        np.testing.assert_array_equal(result[..., 0], result[..., 2])
    assert max(spreads) < 3.2 and np.ptp(spreads) > 1


def test_the_noise_is_independent_and_without_bias():
    image = np.full((64, 64, 3), 128, np.uint8)
    deviations = []
    for result in changed(image, noise=20):
        error = result.astype(float) - 128
        deviations.append(error.std())
        assert abs(error.mean()) < 0.05 * deviations[-1] + 0.1
        assert abs(np.corrcoef(error.reshape(-1, 3).T)[0, 1]) < 0.1
        assert abs(np.corrcoef(error[:, 1:, 0].ravel(), error[:, :-1, 0].ravel())[0, 1]) < 0.1
    assert max(deviations) < 20.5 and np.ptp(deviations) > 8


def test_values_stay_within_bytes():
    for value in (0, 255):
        image = np.full((16, 16, 3), value, np.uint8)
        for result in changed(image, count=60, noise=60):
            assert abs(int(np.median(result)) - value) <= 60


def test_the_same_generator_gives_the_same_result():
    image, before = photo(1), photo(1)
    vary = CameraVariation()
    for seed in range(8):
        first, again = (vary(image, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        # The generator continues alike, whichever steps were applied.
        generators = [np.random.default_rng(seed) for _ in range(2)]
        vary(image, generators[0]), CameraVariation(**NOTHING)(image, generators[1])
        assert generators[0].random() == generators[1].random()
    np.testing.assert_array_equal(image, before)


def test_the_crop_keeps_its_position():
    image, mask = photo(2, (60, 80)), photo(3, (60, 80))[..., 0]
    plain = Augmentation()(image, mask, (32, 32), np.random.default_rng(5))
    varied = Augmentation(camera_variation=CameraVariation(cast=1.0))
    results = [varied(image, mask, (32, 32), np.random.default_rng(5))]
    np.testing.assert_array_equal(results[0][1], plain[1])
    assert not np.array_equal(results[0][0], plain[0])


@pytest.mark.parametrize(
    "options", [{"cast": 1.5}, {"cast": -0.1}, {"blur": -1}, {"noise": 256}, {"noise": np.nan}]
)
def test_wrong_options(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"`{name}` must be from 0 to .* Received: {name}="):
        CameraVariation(**options)


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), "float32")])
def test_other_images_are_refused(image):
    with pytest.raises(ValueError, match="requires 8-bit RGB images"):
        CameraVariation()(image, np.random.default_rng(0))
