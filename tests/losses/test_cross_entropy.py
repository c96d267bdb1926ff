"""Cross-entropy against NumPy."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eseg_keras.losses import CrossEntropy


def reference(masks, logits, class_weights=None, smoothing=0.0, sample_weight=None):
    total, count = 0.0, 0
    classes = logits.shape[-1]
    for index in np.ndindex(masks.shape):
        label = int(masks[index])
        if label == 255:
            continue
        z = logits[index].astype("float64")
        log_p = z - z.max() - np.log(np.exp(z - z.max()).sum())
        target = np.full(classes, smoothing / classes)
        target[label] += 1 - smoothing
        loss = -(target * log_p).sum()
        loss *= 1 if class_weights is None else class_weights[label]
        loss *= 1 if sample_weight is None else sample_weight[index]
        total, count = total + loss, count + 1
    return total / max(count, 1)


@settings(max_examples=20)
@given(
    st.integers(0, 1000), st.sampled_from([0.0, 0.1]), st.booleans(), st.booleans(), st.booleans()
)
def test_equals_numpy(seed, smoothing, weighted, by_pixel, channel):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 5, (2, 3, 4, 5)).astype("float32")
    masks = rng.choice([0, 1, 2, 3, 4, 255], (2, 3, 4)).astype("uint8")
    class_weights = rng.uniform(0, 3, 5) if weighted else None
    sample_weight = rng.uniform(0, 3, (2, 3, 4)).astype("float32") if by_pixel else None
    loss = CrossEntropy(class_weights=class_weights, label_smoothing=smoothing)
    expected = reference(masks, logits, class_weights, smoothing, sample_weight)
    given_masks = masks[..., None] if channel else masks
    got = loss(given_masks, logits, sample_weight)
    np.testing.assert_allclose(float(got), expected, rtol=1e-5)


def test_all_ignored_is_zero_and_finite():
    loss = CrossEntropy()(np.full((1, 2, 2), 255), np.full((1, 2, 2, 3), 1e4, "float32"))
    assert float(loss) == 0


def test_half_precision_logits_are_computed_in_float32():
    logits = np.random.default_rng(0).normal(size=(1, 4, 4, 3)).astype("float16")
    masks = np.zeros((1, 4, 4), "uint8")
    loss = CrossEntropy()(masks, logits)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    np.testing.assert_allclose(float(loss), reference(masks, logits), rtol=1e-4)


@pytest.mark.parametrize("label", [3, 7, -1])
def test_labels_outside_the_classes_give_nan(label):
    masks = np.array([[[0, label, 255]]])
    logits = np.zeros((1, 1, 3, 3), "float32")
    assert np.isnan(float(CrossEntropy()(masks, logits)))
    assert np.isfinite(float(CrossEntropy(ignore_label=label)(np.array([[[0, label, 2]]]), logits)))


def test_sample_weight_of_an_image():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 3, 2, 4)).astype("float32")
    masks = rng.integers(0, 4, (2, 3, 2))
    weights = np.array([0.5, 3.0], "float32")
    by_pixel = np.broadcast_to(weights[:, None, None], masks.shape)
    loss = CrossEntropy()(masks, logits, weights)
    np.testing.assert_allclose(
        float(loss), reference(masks, logits, sample_weight=by_pixel), rtol=1e-5
    )
    with pytest.raises(ValueError, match="sample_weight"):
        CrossEntropy()(masks, logits, np.ones((2, 3)))


@pytest.mark.parametrize("weights", [{0: 1.0, 1: 5.0}, [1.0, -1.0], [1.0, float("nan")]])
def test_wrong_class_weights_are_refused(weights):
    with pytest.raises(ValueError, match="sequence with one finite factor"):
        CrossEntropy(class_weights=weights)


def test_arguments_are_checked_and_kept():
    with pytest.raises(ValueError, match="label_smoothing"):
        CrossEntropy(label_smoothing=1.0)
    with pytest.raises(ValueError, match="each of the 3 classes"):
        CrossEntropy(class_weights=[1, 2])(np.zeros((1, 2, 2)), np.zeros((1, 2, 2, 3)))
    loss = CrossEntropy(ignore_label=9, class_weights=[1, 2], label_smoothing=0.1)
    config = keras.saving.serialize_keras_object(loss)
    assert keras.saving.deserialize_keras_object(config).get_config() == loss.get_config()
