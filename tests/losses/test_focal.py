"""Focal loss against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eseg_keras.losses import CrossEntropy, Focal


def reference(masks, logits, gamma, alpha):
    total, count = 0.0, 0
    for index in np.ndindex(masks.shape):
        label = int(masks[index])
        if label == 255:
            continue
        z = np.exp(logits[index].astype("float64") - logits[index].max())
        p = z[label] / z.sum()
        total -= (1 if alpha is None else alpha[label]) * (1 - p) ** gamma * np.log(p)
        count += 1
    return total / max(count, 1)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.sampled_from([0, 0.5, 1, 2, 5]), st.booleans())
def test_equals_numpy(seed, gamma, weighted):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (2, 3, 4, 5)).astype("float32")
    masks = rng.choice([0, 1, 2, 3, 4, 255], (2, 3, 4)).astype("uint8")
    alpha = rng.uniform(0, 1, 5) if weighted else None
    got = float(Focal(gamma=gamma, alpha=alpha)(masks, logits))
    np.testing.assert_allclose(got, reference(masks, logits, gamma, alpha), rtol=1e-4)


def test_gamma_0_is_cross_entropy():
    rng = np.random.default_rng(0)
    logits, masks = rng.normal(size=(2, 3, 4, 5)).astype("float32"), rng.integers(0, 5, (2, 3, 4))
    assert float(Focal(gamma=0)(masks, logits)) == float(CrossEntropy()(masks, logits))


def test_weights_of_pixels():
    rng = np.random.default_rng(0)
    logits, masks = rng.normal(size=(1, 2, 1, 3)).astype("float32"), rng.integers(0, 3, (1, 2, 1))
    weights = np.array([3.0, 0.0], "float32").reshape(1, 2, 1)
    first = float(Focal()(masks[:, :1], logits[:, :1]))
    np.testing.assert_allclose(float(Focal()(masks, logits, weights)), 3 * first / 2, rtol=1e-6)


def test_arguments_are_checked():
    for gamma in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="`gamma`"):
            Focal(gamma=gamma)
    with pytest.raises(ValueError, match="`alpha` must be a sequence"):
        Focal(alpha={0: 1})
    with pytest.raises(ValueError, match="`alpha` must have one entry"):
        Focal(alpha=[1, 2])(np.zeros((1, 2, 2)), np.zeros((1, 2, 2, 3)))
