"""OHEM against NumPy: the selection is exactly equal, including ties."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eseg_keras.losses import OHEMCrossEntropy
from eseg_keras.losses.ohem_cross_entropy import bounded_kth_smallest


def losses_of(masks, logits):
    """Return float64 losses per pixel, NaN for ignored pixels."""
    logits = logits.astype("float64")
    logits = logits - logits.max(-1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    labels = np.where(masks == 255, 0, masks)[..., None]
    picked = np.take_along_axis(log_p, labels, -1)[..., 0]
    return np.where(masks == 255, np.nan, -picked)


def per_image(losses, threshold, min_kept):
    """Return the kept losses of all images, selected in each image."""
    kept = []
    for image in losses:
        valid = np.sort(image[~np.isnan(image)])[::-1]
        least = min(max(round(min_kept * image.size), 1), len(valid))
        hard = valid[np.exp(-valid) < threshold]
        if len(hard) < least:
            hard = valid[valid >= valid[least - 1]]
        kept.append(hard)
    return np.concatenate(kept)


def hrnet(losses, threshold, min_kept):
    """HRNet's code, with NumPy in place of PyTorch."""
    losses = losses[~np.isnan(losses)]
    order = np.argsort(np.exp(-losses), kind="stable")
    probabilities = np.exp(-losses)[order]
    threshold = max(probabilities[min(min_kept, probabilities.size - 1)], threshold)
    return losses[order][probabilities < threshold]


def of_probabilities(probabilities):
    """Return masks and two-class logits; label 0 has these probabilities, NaN means ignored."""
    probabilities = np.asarray(probabilities, "float64").reshape(1, 1, -1)
    masks = np.where(np.isnan(probabilities), 255, 0)
    odds = np.log(np.nan_to_num(probabilities, nan=0.5) / (1 - np.nan_to_num(probabilities)))
    return masks, np.stack([odds, np.zeros_like(odds)], -1).astype("float32")


def kept_of(loss, probabilities):
    """Return the number of pixels that the loss keeps; check that they are the hardest."""
    masks, logits = of_probabilities(probabilities)
    total, count = (float(part) for part in loss.sum_and_count(masks, logits))
    hardest = np.sort(losses_of(masks, logits)[masks != 255])[::-1][: int(count)]
    np.testing.assert_allclose(total, hardest.sum(), rtol=1e-5)
    return count


@settings(max_examples=20)
@given(
    st.integers(0, 1000),
    st.sampled_from([0.05, 0.5, 0.7, 0.95]),
    st.sampled_from([0, 1 / 16, 0.4, 1]),
    st.booleans(),
)
def test_equals_numpy(seed, threshold, min_kept, easy):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (3, 4, 5, 4)).astype("float32")
    masks = rng.choice([0, 1, 2, 3, 255], (3, 4, 5)).astype("uint8")
    logits += 4 * easy * np.eye(4, dtype="float32")[masks % 255]
    expected = per_image(losses_of(masks, logits), threshold, min_kept)
    loss = OHEMCrossEntropy(threshold=threshold, min_kept=min_kept)
    total, count = loss.sum_and_count(masks, logits)
    assert float(count) == len(expected)
    np.testing.assert_allclose(float(total), expected.sum(), rtol=1e-4)
    np.testing.assert_allclose(float(loss(masks, logits)), expected.mean(), rtol=1e-4)


@settings(max_examples=20)
@given(
    st.integers(0, 1000),
    st.sampled_from([0.05, 0.5, 0.9]),
    st.sampled_from([1, 10, 40, 131_072]),
)
def test_hrnet_equals_numpy(seed, threshold, min_kept):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (3, 4, 5, 4)).astype("float32")
    masks = rng.choice([0, 1, 2, 3, 255], (3, 4, 5)).astype("uint8")
    expected = hrnet(losses_of(masks, logits), threshold, min_kept)
    loss = OHEMCrossEntropy(threshold, min_kept_pixels=min_kept)
    total, count = loss.sum_and_count(masks, logits)
    assert float(count) == len(expected)
    np.testing.assert_allclose(float(total), expected.sum(), rtol=1e-4)


@settings(max_examples=20)
@given(
    st.lists(st.floats(0, 1, width=32, allow_subnormal=False), min_size=1, max_size=12),
    st.floats(2**-20, 1, width=32),
    st.data(),
)
def test_kth_smallest_is_exact(values, floor, data):
    values = np.array(values + values[:3] + [2.0], "float32")
    k = data.draw(st.integers(1, len(values) - 1))
    given_k = keras.ops.convert_to_tensor(np.array([k], "int32"))
    got = bounded_kth_smallest(keras.ops.convert_to_tensor(values), given_k, floor, (0,))
    expected = max(np.float32(floor), np.sort(values)[k - 1])
    assert keras.ops.convert_to_numpy(got)[0] == expected


def test_kth_smallest_tells_neighbouring_floats_apart():
    top = np.float32(1) - np.float32(2**-24) * np.arange(50, dtype="float32")
    low = np.float32(0.001) + np.float32(2**-33) * np.arange(50, dtype="float32")
    values = np.concatenate([top, low, low[:9]])
    # One row per k.
    rows = np.tile(values, (len(values), 1))
    k = np.arange(1, len(values) + 1, dtype="int32")[:, None]
    got = bounded_kth_smallest(
        keras.ops.convert_to_tensor(rows), keras.ops.convert_to_tensor(k), 1e-4, (1,)
    )
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(got)[:, 0], np.sort(values))


def test_kth_smallest_of_a_large_image():
    values = np.random.default_rng(0).uniform(size=(2, 300, 400)).astype("float32")
    k = np.array([7500, 119_999], "int32").reshape(2, 1, 1)
    got = bounded_kth_smallest(
        keras.ops.convert_to_tensor(values), keras.ops.convert_to_tensor(k), 0.01, (1, 2)
    )
    expected = np.sort(values.reshape(2, -1))[[0, 1], k.ravel() - 1]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(got).ravel(), expected)


def test_all_easy_keeps_the_minimum():
    assert kept_of(OHEMCrossEntropy(), np.linspace(0.8, 0.99, 32)) == 2
    assert kept_of(OHEMCrossEntropy(min_kept=0.5), np.linspace(0.8, 0.99, 32)) == 16
    assert kept_of(OHEMCrossEntropy(min_kept=0), np.linspace(0.8, 0.99, 32)) == 1


def test_all_hard_keeps_all():
    assert kept_of(OHEMCrossEntropy(), np.linspace(0.01, 0.69, 32)) == 32


def test_fewer_valid_pixels_than_the_minimum_are_all_kept():
    nothing = [np.nan] * 29
    assert kept_of(OHEMCrossEntropy(min_kept=0.5), [0.8, 0.9, 0.95, *nothing]) == 3
    assert kept_of(OHEMCrossEntropy(min_kept=1), [0.2, 0.9, 0.95, *nothing]) == 3


@pytest.mark.parametrize("probability", [0.001, 0.5, 0.99])
def test_one_valid_pixel_is_kept(probability):
    assert kept_of(OHEMCrossEntropy(), [probability] + [np.nan] * 31) == 1


def test_the_minimum_counts_ignored_pixels_of_the_image():
    assert kept_of(OHEMCrossEntropy(min_kept=0.25), [*np.linspace(0.8, 0.9, 8), *[np.nan] * 8]) == 4


def test_ties_with_the_last_are_kept():
    probabilities = [0.75, 0.8, 0.8, 0.8, 0.9, 0.9, 0.9, 0.9]
    assert kept_of(OHEMCrossEntropy(min_kept=0.25), probabilities) == 4
    assert kept_of(OHEMCrossEntropy(min_kept=0.5), probabilities) == 4
    assert kept_of(OHEMCrossEntropy(min_kept=0.625), probabilities) == 8


def test_a_probability_equal_to_the_threshold_is_not_under_it():
    probabilities = [0.1, 0.5, 0.5, 0.5, 0.9, 0.9, 0.9, 0.9]
    assert kept_of(OHEMCrossEntropy(threshold=0.5, min_kept=0), probabilities) == 1
    assert kept_of(OHEMCrossEntropy(threshold=0.5, min_kept=0.25), probabilities) == 4
    assert kept_of(OHEMCrossEntropy(threshold=0.5, min_kept_pixels=1), probabilities) == 1


def test_hrnet_edge_cases():
    def rule(kept):
        return OHEMCrossEntropy(0.9, min_kept_pixels=kept)

    easy = [0.95, 0.96, 0.96, 0.97, 0.98]
    # Pixels strictly below the sorted probability with the index `min_kept_pixels` (from 0) are
    # kept; pixels equal to it are not.
    assert [kept_of(rule(k), easy) for k in (1, 2, 3, 4, 5, 131_072)] == [1, 1, 3, 4, 4, 4]
    assert kept_of(rule(1), [0.1, 0.5, 0.89, 0.95]) == 3
    # With one easy pixel, no pixel is below the threshold: HRNet returns NaN, this loss 0.
    masks, logits = of_probabilities([0.95, np.nan])
    assert float(rule(1)(masks, logits)) == 0
    assert kept_of(rule(1), [0.5, np.nan]) == 1


def test_images_select_by_themselves_but_hrnet_over_the_batch():
    masks, hard = of_probabilities(np.linspace(0.1, 0.6, 16))
    _, easy = of_probabilities(np.linspace(0.91, 0.99, 16))
    both = np.concatenate([masks, masks]), np.concatenate([hard, easy])
    assert float(OHEMCrossEntropy().sum_and_count(*both)[1]) == 17
    assert float(OHEMCrossEntropy(0.9, min_kept_pixels=3).sum_and_count(*both)[1]) == 16


def test_weights_change_neither_selection_nor_divisor():
    masks, logits = of_probabilities([0.1, 0.2, 0.9, 0.9])
    weights = np.array([0.0, 2.0, 5.0, 5.0], "float32").reshape(1, 1, 4)
    total, count = OHEMCrossEntropy(class_weights=[3, 1]).sum_and_count(masks, logits, weights)
    assert float(count) == 2
    np.testing.assert_allclose(float(total), -6 * np.log(0.2), rtol=1e-5)


def test_defaults():
    config = OHEMCrossEntropy().get_config()
    names = ("threshold", "min_kept", "min_kept_pixels")
    assert [config[name] for name in names] == [0.7, 1 / 16, None]


@pytest.mark.parametrize(
    "arguments",
    [
        {"threshold": 0},
        {"threshold": 1.1},
        {"threshold": float("nan")},
        {"min_kept": 131_072},
        {"min_kept": -0.1},
        {"min_kept_pixels": 1 / 16},
        {"min_kept_pixels": 1.5},
        {"class_weights": {0: 1}},
    ],
)
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="Received"):
        OHEMCrossEntropy(**arguments)
