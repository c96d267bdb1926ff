"""Dice loss against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eseg_keras.losses import Dice


def reference(masks, logits):
    """Return the loss of one image (mask [N], logits [N, C]), or `None` without labels."""
    logits, masks = logits[masks != 255].astype("float64"), masks[masks != 255]
    p = np.exp(logits)
    p /= p.sum(-1, keepdims=True)
    scores = []
    for label in np.unique(masks):
        inside = masks == label
        dice = 2 * p[inside, label].sum() / (p[:, label].sum() + inside.sum())
        scores.append(1 - dice)
    return np.mean(scores) if scores else None


@settings(max_examples=20)
@given(st.integers(0, 1000), st.booleans())
def test_equals_numpy(seed, per_image):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (3, 2, 3, 5)).astype("float32")
    masks = rng.choice([0, 1, 4, 255], (3, 2, 3), p=[0.2, 0.2, 0.1, 0.5]).astype("uint8")
    if per_image:
        pairs = zip(masks, logits, strict=True)
        scores = [reference(m.ravel(), z.reshape(-1, 5)) for m, z in pairs]
        expected = np.mean([score for score in scores if score is not None] or [0])
    else:
        expected = reference(masks.ravel(), logits.reshape(-1, 5)) or 0
    np.testing.assert_allclose(
        float(Dice(per_image=per_image)(masks, logits)), expected, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("per_image", "shape"), [(True, (2, 3, 4)), (True, (2, 3, 4, 1)), (False, (2,))]
)
def test_weights_it_cannot_apply_are_refused(per_image, shape):
    with pytest.raises(ValueError, match="compares regions"):
        Dice(per_image=per_image)(np.zeros((2, 3, 4)), np.zeros((2, 3, 4, 2)), np.ones(shape))
