"""Re-estimated statistics of batch normalisation against NumPy."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from eseg_keras.layers import BatchNormalization
from eseg_keras.trainer import TrainingModel


def model_with_two_norms():
    keras.utils.set_random_seed(0)
    images = keras.Input((None, None, 3))
    x = BatchNormalization(name="first")(images)
    x = keras.layers.Conv2D(4, 1, use_bias=False, name="conv")(x)
    return TrainingModel(images, BatchNormalization(name="second")(x))


def batches(sizes=(4, 3, 1)):
    rng = np.random.default_rng(1)
    return [rng.normal(5, 3, (size, 6, 7, 3)).astype("float32") for size in sizes]


def expected(model, images):
    """Compute statistics from the batches' means and mean squares, weighted by batch size."""
    kernel = keras.ops.convert_to_numpy(model.get_layer("conv").kernel)[0, 0]
    rows = {"first": [], "second": []}
    for batch in images:
        x = batch.astype("float64")
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        rows["first"].append((len(batch), mean, variance + mean**2))
        x = (x - mean) / np.sqrt(variance + 1e-3) @ kernel
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        rows["second"].append((len(batch), mean, variance + mean**2))
    found = {}
    for name, parts in rows.items():
        total = sum(count for count, _, _ in parts)
        mean = sum(count * mean for count, mean, _ in parts) / total
        found[name] = mean, sum(count * square for count, _, square in parts) / total - mean**2
    return found


def assert_statistics(model, values):
    for name, (mean, variance) in values.items():
        norm = model.get_layer(name)
        found = [keras.ops.convert_to_numpy(v) for v in (norm.moving_mean, norm.moving_variance)]
        np.testing.assert_allclose(found[0], mean, rtol=0, atol=1e-4)
        np.testing.assert_allclose(found[1], variance, rtol=1e-3)


def test_statistics_are_those_of_all_images():
    model, images = model_with_two_norms(), batches()
    weights = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    model.update_batch_norm((batch, None) for batch in images)
    assert_statistics(model, expected(model, images))
    assert model.get_layer("first").momentum == 0.97
    for variable, weight in zip(model.trainable_variables, weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), weight)


def test_frozen_layers_keep_their_statistics():
    model = model_with_two_norms()
    model.get_layer("second").trainable = False
    model.update_batch_norm(batches())
    assert_statistics(model, {"second": (np.zeros(4), np.ones(4))})
    assert float(keras.ops.max(model.get_layer("first").moving_mean)) > 1


def test_the_averaged_weights_get_their_own():
    model, images = model_with_two_norms(), batches()
    model.compile("sgd", loss="mse", ema_decay=0.5)
    model.fit(images[0], np.zeros((4, 6, 7, 4)), epochs=3, batch_size=4, verbose=0)
    raw = [keras.ops.convert_to_numpy(v) for v in model.variables]
    model.update_batch_norm(images)
    for variable, value in zip(model.variables, raw, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)
    with model.averaged_weights():
        averaged = expected(model, images)["first"]
        assert_statistics(model, {"first": averaged})


@pytest.mark.parametrize("failing", [False, True])
def test_without_images_nothing_changes(failing):
    model = model_with_two_norms()

    def stream():
        if failing:
            yield batches()[0]
            raise OSError("cannot read the next image")

    with pytest.raises(OSError if failing else ValueError, match="next image|at least one batch"):
        model.update_batch_norm(stream())
    assert_statistics(model, {"first": (np.zeros(3), np.ones(3))})
    assert model.get_layer("first").momentum == 0.97


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute")
def test_statistics_under_a_strategy():
    script = pathlib.Path(__file__).with_name("batch_norm_on_two_replicas.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "re-estimated" in done.stdout, done.stderr[-2000:]
