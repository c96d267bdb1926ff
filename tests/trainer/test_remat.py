"""Training with rematerialization equals training without it."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from eseg_keras import ESeg

SIZE = (32, 48)
# For a few steps, eager execution is faster than tracing; `test_steps_are_the_same` runs graphs.
EAGERLY = {"run_eagerly": keras.backend.backend() == "tensorflow"}


def small_model(**arguments):
    """Build a network with squeeze and excitation, dropout, and an encoder of nested models."""
    keras.utils.set_random_seed(1)
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(images)
    inner = keras.Input((None, None, 6))
    y = keras.layers.BatchNormalization()(inner)
    y = keras.layers.Activation("silu")(y)
    pooled = keras.layers.GlobalAveragePooling2D(keepdims=True)(y)
    y = y * keras.layers.Conv2D(6, 1, activation="sigmoid", name="excitation")(pooled)
    # The recorded `training=False`, which cloned models contain too, is replaced when the model is
    # called with `training=True`.
    y = keras.layers.Dropout(0.5, noise_shape=(None, 1, 1, 1))(y, training=False)
    y = keras.layers.DepthwiseConv2D(3, padding="same")(y)
    y = keras.layers.Conv2D(6, 1, name="projection")(y)
    x = keras.layers.Add()([x, keras.Model(inner, y, name="block")(x)])
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = p3 = keras.layers.Conv2D(8, 3, strides=4, padding="same")(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    p4 = keras.layers.Conv2D(8, 3, strides=2, padding="same")(x)
    return ESeg(
        keras.Model(images, {"P3": p3, "P4": p4}), num_classes=3, min_level=3, max_level=5,
        decoder_channels=4, decoder_repeats=1, **arguments,
    )  # fmt: skip


def train(model, remat, dtype="uint8", **options):
    """Train two epochs of two steps; return mean losses and all variables."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, *SIZE, 3)).astype(dtype)
    masks = rng.choice([0, 1, 2, 255], (4, *SIZE)).astype("uint8")
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9), weight_decay=1e-3, ema_decay=0.9, remat=remat,
        **options,
    )  # fmt: skip
    logs = model.fit(images, masks, batch_size=2, epochs=2, shuffle=False, verbose=0).history
    variables = {v.path: np.asarray(keras.ops.convert_to_numpy(v)) for v in model.variables}
    return logs["loss"], variables


def assert_same(model, **options):
    model, again = model(), model()
    expected_losses, expected = train(model, remat=False, **options)
    losses, variables = train(again, remat=True, **options)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-6)
    for (path, array), other in zip(expected.items(), variables.values(), strict=True):
        np.testing.assert_allclose(other, array, rtol=1e-5, atol=1e-6, err_msg=path)
    return expected


@pytest.fixture
def rematerialized(monkeypatch):
    """A list with one entry per call of a function passed to `keras.remat`."""
    calls = []
    remat = keras.remat

    def counted(function):
        def run(*args):
            calls.append(function)
            return function(*args)

        return remat(run)

    monkeypatch.setattr(keras, "remat", counted)
    return calls


def test_steps_are_the_same(rematerialized):
    before = {v.path: np.asarray(keras.ops.convert_to_numpy(v)) for v in small_model().variables}
    after = assert_same(small_model)
    # The moving statistics and the state of the random generator changed, too.
    moved = [a for (a, x), y in zip(before.items(), after.values(), strict=True) if (x != y).any()]
    assert any("seed" in path for path in moved) and any("moving_mean" in path for path in moved)
    assert rematerialized
    # JAX repeats the traced operations without calling the function again.
    if keras.backend.backend() != "jax":
        assert len(rematerialized) > 1.5 * len({id(function) for function in rematerialized})


def test_frozen_layers_stay():
    def model():
        return small_model(frozen=("encoder",))

    assert_same(model, **EAGERLY)
    trained = model()
    start = [keras.ops.convert_to_numpy(weight) for weight in trained.encoder.weights]
    train(trained, remat=True, **EAGERLY)
    for weight, array in zip(trained.encoder.weights, start, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), array)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="one backend is enough")
def test_with_gradient_accumulation():
    assert_same(small_model, gradient_accumulation_steps=2, **EAGERLY)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="XLA fuses in higher precision")
def test_in_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert_same(small_model, dtype="float32", **EAGERLY)
    finally:
        keras.config.set_dtype_policy("float32")


def test_it_is_saved(tmp_path):
    model = small_model()
    model.compile(remat=True)
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").remat


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute")
@pytest.mark.slow
def test_under_a_strategy():
    script = pathlib.Path(__file__).with_name("remat_on_two_replicas.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "the same" in done.stdout, done.stderr[-2000:]
