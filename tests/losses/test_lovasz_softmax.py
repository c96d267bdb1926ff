"""Lovász-softmax against its definition, and against the IoU for certain predictions."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from eseg_keras.losses import LovaszSoftmax


def jaccard_loss(wrong, inside):
    """Return 1 - IoU of a class with pixels `inside`, where the prediction is wrong at `wrong`."""
    union = (inside | wrong).sum()
    return 1 - (inside & ~wrong).sum() / union if union else 0.0


def reference(masks, logits):
    """Return the loss of one image (mask [N], logits [N, C]), or `None` without labels.

    The Lovász extension of a set function F is the integral over t of F({errors above t}).
    """
    logits, masks = logits[masks != 255].astype("float64"), masks[masks != 255]
    p = np.exp(logits)
    p /= p.sum(-1, keepdims=True)
    scores = []
    for label in np.unique(masks):
        inside = masks == label
        errors = np.abs(inside - p[:, label])
        levels = np.concatenate([[0], np.sort(errors)])
        parts = [
            (high - low) * jaccard_loss(errors > low, inside)
            for low, high in zip(levels[:-1], levels[1:], strict=True)
        ]
        scores.append(sum(parts))
    return np.mean(scores) if scores else None


@settings(max_examples=20)
@given(st.integers(0, 1000), st.booleans(), st.booleans())
def test_equals_numpy(seed, per_image, ties):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (3, 2, 3, 5)).astype("float32")
    logits = np.round(logits / 4) if ties else logits
    masks = rng.choice([0, 1, 4, 255], (3, 2, 3), p=[0.2, 0.2, 0.1, 0.5]).astype("uint8")
    if per_image:
        pairs = zip(masks, logits, strict=True)
        scores = [reference(m.ravel(), z.reshape(-1, 5)) for m, z in pairs]
        expected = np.mean([score for score in scores if score is not None] or [0])
    else:
        expected = reference(masks.ravel(), logits.reshape(-1, 5)) or 0
    np.testing.assert_allclose(
        float(LovaszSoftmax(per_image=per_image)(masks, logits)), expected, rtol=1e-5, atol=1e-6
    )


def test_is_one_minus_mean_iou_for_certain_predictions():
    rng = np.random.default_rng(0)
    masks, predicted = rng.integers(0, 3, (2, 1, 20, 20))
    iou = [
        ((masks == c) & (predicted == c)).sum() / ((masks == c) | (predicted == c)).sum()
        for c in range(3)
    ]
    logits = 1e4 * np.eye(3, dtype="float32")[predicted]
    np.testing.assert_allclose(float(LovaszSoftmax()(masks, logits)), 1 - np.mean(iou), rtol=1e-6)


def test_keeps_its_digits_on_a_large_image(gradient):
    # All errors are 0.5, so the loss is 0.5. The gradient consists of differences of neighbouring
    # IoUs, which must not lose precision.
    masks = np.arange(400_000).reshape(1, 400, 1000) % 2
    logits = np.zeros((1, 400, 1000, 2), "float32")
    np.testing.assert_allclose(float(LovaszSoftmax()(masks, logits)), 0.5, rtol=1e-5)
    slopes = np.abs(gradient(LovaszSoftmax(), masks, logits)[..., 0]).sum()
    np.testing.assert_allclose(slopes, 0.25, rtol=1e-4)
