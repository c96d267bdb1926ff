"""Properties of every loss."""

import keras
import numpy as np
import pytest

from eseg_keras.losses import CrossEntropy, Dice, Focal, LovaszSoftmax, OHEMCrossEntropy

# (loss, whether the sums and counts of the parts of a batch add up to those of the batch).
LOSSES = {
    "cross_entropy": (CrossEntropy(class_weights=[1, 2, 0.5, 3]), True),
    "focal": (Focal(alpha=[1, 2, 0.5, 3]), True),
    "focal_small_gamma": (Focal(gamma=0.5), True),
    "ohem": (OHEMCrossEntropy(class_weights=[1, 2, 0.5, 3]), True),
    "ohem_most": (OHEMCrossEntropy(threshold=0.1, min_kept=0.6), True),
    "ohem_hrnet": (OHEMCrossEntropy(0.3, min_kept_pixels=9), False),
    "dice": (Dice(), True),
    "dice_batch": (Dice(per_image=False), False),
    "lovasz": (LovaszSoftmax(), True),
    "lovasz_batch": (LovaszSoftmax(per_image=False), False),
}
every_loss = pytest.mark.parametrize("name", LOSSES)
additive_loss = pytest.mark.parametrize("name", [n for n, (_, adds) in LOSSES.items() if adds])


def example(batch=4, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (batch, 5, 6, 4)).astype("float32")
    return rng.choice([0, 1, 2, 3, 255], (batch, 5, 6)).astype("uint8"), logits


@every_loss
def test_ignored_pixels_have_no_influence(name, gradient):
    loss = LOSSES[name][0]
    masks, logits = example()
    expected = float(loss(masks, logits))
    ignored = masks == 255
    np.testing.assert_array_equal(gradient(loss, masks, logits)[ignored], 0)
    for value in (-50, 50):
        logits[ignored] = [value, 0, -value, 1]
        np.testing.assert_allclose(float(loss(masks, logits)), expected, rtol=1e-6)


@every_loss
def test_all_ignored_is_zero_with_zero_gradients(name, gradient):
    loss = LOSSES[name][0]
    masks, logits = example()
    masks[:] = 255
    logits *= 1e3
    total, count = loss.sum_and_count(masks, logits)
    assert (float(total), float(count)) == (0, 0)
    assert float(loss(masks, logits)) == 0
    np.testing.assert_array_equal(gradient(loss, masks, logits), np.zeros_like(logits))


@every_loss
@pytest.mark.parametrize("right", [True, False])
def test_certain_predictions_have_finite_gradients(name, right, gradient):
    loss = LOSSES[name][0]
    masks, _ = example()
    labels = masks % 255 if right else (masks % 255 + 1) % 4
    logits = 1e4 * np.eye(4, dtype="float32")[labels]
    value = float(loss(masks, logits))
    assert np.isfinite(value) and (value == pytest.approx(0, abs=1e-6)) == right
    assert np.isfinite(gradient(loss, masks, logits)).all()


@every_loss
def test_gradients_descend(name, gradient):
    loss = LOSSES[name][0]
    masks, logits = example()
    slope = gradient(loss, masks, logits)
    step = 1e-2 / np.abs(slope).max()
    assert float(loss(masks, logits - step * slope)) < float(loss(masks, logits))


@every_loss
@pytest.mark.parametrize("label", [4, 7, -1, 254])
def test_labels_outside_the_classes_give_nan(name, label):
    loss = LOSSES[name][0]
    masks, logits = example()
    masks = masks.astype("int32")
    masks[0, 0, 0] = label
    assert np.isnan(float(loss(masks, logits)))
    masks[masks == 255] = label
    config = {**loss.get_config(), "ignore_label": label}
    assert np.isfinite(float(type(loss).from_config(config)(masks, logits)))


@every_loss
def test_nan_logits_give_nan(name):
    masks, logits = example()
    masks[0, 0, 0] = 1
    logits[0, 0, 0] = np.nan
    assert np.isnan(float(LOSSES[name][0](masks, logits)))


@every_loss
def test_a_class_may_be_ignored(name):
    loss = LOSSES[name][0]
    masks, logits = example()
    zero = type(loss).from_config({**loss.get_config(), "ignore_label": 0})
    without = np.where(masks == 0, 255, masks)
    masks = np.where(masks == 255, 0, masks)
    np.testing.assert_allclose(float(zero(masks, logits)), float(loss(without, logits)), rtol=1e-6)


@additive_loss
def test_halves_add_up(name):
    loss = LOSSES[name][0]
    masks, logits = example()
    masks[0] = 255
    whole = [float(part) for part in loss.sum_and_count(masks, logits)]
    parts = [loss.sum_and_count(masks[i : i + 1], logits[i : i + 1]) for i in range(4)]
    np.testing.assert_allclose(
        np.sum([[float(total), float(count)] for total, count in parts], axis=0), whole, rtol=1e-5
    )


@additive_loss
def test_weights_of_images_multiply_their_losses(name):
    loss = LOSSES[name][0]
    masks, logits = example()
    weights = np.array([0, 1, 2.5, 0.5], "float32")
    totals = [float(loss.sum_and_count(masks[i : i + 1], logits[i : i + 1])[0]) for i in range(4)]
    total, count = loss.sum_and_count(masks, logits, weights)
    np.testing.assert_allclose(float(total), np.dot(totals, weights), rtol=1e-5)
    assert float(count) == float(loss.sum_and_count(masks, logits)[1])


@every_loss
def test_half_precision_logits_are_computed_in_float32(name):
    loss = LOSSES[name][0]
    masks, logits = example()
    half = logits.astype("float16")
    value = loss(masks, half)
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    np.testing.assert_allclose(float(value), float(loss(masks, half.astype("float32"))), rtol=1e-6)


@every_loss
def test_masks_may_have_a_channel(name):
    masks, logits = example()
    loss = LOSSES[name][0]
    assert float(loss(masks[..., None], logits)) == float(loss(masks, logits))


@every_loss
def test_compiled_equals_eager(name, compiled, gradient):
    loss = LOSSES[name][0]
    masks, logits = example()
    value, slope = compiled(loss, masks, logits)
    np.testing.assert_allclose(value, float(loss(masks, logits)), rtol=1e-5)
    np.testing.assert_allclose(slope, gradient(loss, masks, logits), rtol=1e-4, atol=1e-7)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="symbolic shapes")
@every_loss
def test_unknown_sizes_and_a_replica_without_images(name):
    import tensorflow as tf

    loss = LOSSES[name][0]
    shapes = [tf.TensorSpec([None] * 3, "uint8"), tf.TensorSpec([None, None, None, 4])]
    step = tf.function(loss.__call__, input_signature=shapes)
    masks, logits = example()
    np.testing.assert_allclose(float(step(masks, logits)), float(loss(masks, logits)), rtol=1e-6)
    assert float(step(masks[:0], logits[:0])) == 0


@every_loss
def test_is_saved_with_its_arguments(name):
    loss = LOSSES[name][0]
    config = keras.saving.serialize_keras_object(loss)
    restored = keras.saving.deserialize_keras_object(config)
    assert type(restored) is type(loss)
    assert restored.get_config() == loss.get_config()
    masks, logits = example()
    assert float(restored(masks, logits)) == float(loss(masks, logits))


@every_loss
def test_one_hot_masks_are_told_as_that(name):
    with pytest.raises(ValueError, match=r"look one-hot: pass np.argmax\(masks, axis=-1\)"):
        LOSSES[name][0](np.zeros((4, 5, 6, 4), "uint8"), np.zeros((4, 5, 6, 4), "float32"))


@every_loss
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 7), (4, 5, 6, 2), (4, 1, 6)])
def test_shapes_that_do_not_fit_are_refused(name, shape):
    with pytest.raises(ValueError):
        LOSSES[name][0](np.zeros(shape, "uint8"), np.zeros((4, 5, 6, 4), "float32"))
