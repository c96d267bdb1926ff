import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eseg_keras.data import balanced_class_weights
from eseg_keras.data.class_weights import PixelWeights


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=20))
def test_present_classes_weigh_the_same_and_the_mean_is_one(counts):
    weights = balanced_class_weights(counts)
    counts = np.array(counts, np.float64)
    assert weights.dtype == np.float32 and np.isfinite(weights).all()
    np.testing.assert_array_equal(weights == 0, counts == 0)
    if counts.any():
        mass = (weights * counts)[counts > 0]
        np.testing.assert_allclose(mass, mass[0], rtol=1e-5)
        np.testing.assert_allclose(mass.sum(), counts.sum(), rtol=1e-5)


@pytest.mark.parametrize("ignore_label", [255, 1, 7])
def test_pixel_weights(ignore_label):
    mask = np.random.default_rng(0).choice([0, 1, 2, ignore_label], (9, 7)).astype(np.uint8)
    weights = PixelWeights([0.5, 2.0, 0.0], ignore_label)(mask)
    assert weights.dtype == np.float32
    for label, weight in zip(mask.ravel(), weights.ravel(), strict=True):
        assert weight == (0 if label == ignore_label else [0.5, 2.0, 0.0][label])


def test_label_without_a_weight_is_named():
    with pytest.raises(ValueError, match=r"2 classes.*\[2, 9\]"):
        PixelWeights([1.0, 1.0])(np.array([[0, 9, 2, 255]], np.uint8))


@pytest.mark.parametrize("weights", [[1.0, -1.0], [np.nan], [np.inf], [[1.0]]])
def test_bad_weights_are_refused(weights):
    with pytest.raises(ValueError, match="class_weights"):
        PixelWeights(weights)
