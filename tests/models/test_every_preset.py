"""Requirements for every preset, in one test per preset."""

import functools

import keras
import numpy as np
import pytest

from eseg_keras import ESeg
from eseg_keras.presets.catalog import ARCHITECTURES

COMPILED = "eseg_lite_s"
# For a few steps, compiling takes several times as long as running eagerly. eseg_l has its own
# test below.
EAGER = ["eseg_s", "eseg_edge_s"]
LARGE = ["eseg_lite_m", "eseg_lite_l", "eseg_m", "eseg_edge_m"]
PRESETS = [COMPILED, *EAGER, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]


def short(name, **arguments):
    """Return a preset with at most two decoder repeats.

    The tests of counts build the complete presets.
    """
    repeats = min(ARCHITECTURES[name].decoder_repeats, 2)
    return ESeg.from_preset(
        name, num_classes=5, decoder_repeats=repeats, load_weights=False, **arguments
    )


def batch(num_classes, size=(64, 96), seed=0, count=2):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *size, 3), dtype="uint8")
    masks = rng.integers(0, num_classes, (count, *size), dtype="uint8")
    masks[:, :4] = 255
    return images, masks


@pytest.mark.parametrize("name", PRESETS)
def test_preset(name, tmp_path):
    model = short(name)
    model.compile(run_eagerly=name != COMPILED)
    # A network for any image size accepts even, odd and small sizes, in uint8 and float32. A
    # network built for one size gives the same logits.
    for size in ((64, 96), (32, 32), (45, 61)):
        sized, _ = batch(5, size)
        logits = model.predict_on_batch(sized)
        assert logits.shape == (2, *size, 5) and logits.dtype == np.float32
    np.testing.assert_array_equal(logits, model.predict_on_batch(sized.astype("float32")))
    fixed = short(name, image_shape=(45, 61, 3))
    fixed.set_weights(model.get_weights())
    np.testing.assert_allclose(fixed(sized), logits, rtol=0, atol=1e-4 * np.abs(logits).max())

    # Training changes every trainable variable. Eight images are used, because with fewer,
    # EfficientNet's stochastic depth may drop a block for all images.
    images, masks = batch(5, count=8)
    history = model.fit(images, masks, batch_size=8, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert {"loss", "mean_iou", "pixel_accuracy"} <= set(history.history)
    # The first two variables of SGD are iteration and learning rate, the others are velocities.
    velocities = model.optimizer.variables[2:]
    assert len(velocities) == len(model.trainable_variables)
    still = [v.path for v in velocities if not np.any(keras.ops.convert_to_numpy(v))]
    assert not still

    # Saving and loading is exact, including the compile state.
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    images = images[:2]
    expected = model(images)
    np.testing.assert_array_equal(loaded(images), expected)
    assert loaded.compiled and int(loaded.optimizer.iterations) == 1
    for ours, theirs in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)

    # With another number of classes, everything except the classifier is kept.
    model.save_to_preset(tmp_path / "preset")
    swapped = ESeg.from_preset(tmp_path / "preset", num_classes=3)
    assert swapped(images).shape[-1] == 3
    for part in ("encoder", "decoder"):
        ours, theirs = (getattr(m, part).get_weights() for m in (model, swapped))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(
        swapped.head.get_layer("pointwise").kernel, model.head.get_layer("pointwise").kernel
    )


def keep_the_variance(model, seed=0):
    """Set random kernels with which features neither vanish nor explode.

    Normalisation with its initial statistics does not ensure this.
    """
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        if variable.path.endswith("kernel"):
            depthwise = "dw" in variable.path or "depthwise" in variable.path
            fan_in = np.prod(variable.shape[: 2 if depthwise else 3])
            variable.assign(rng.normal(0, (2 / fan_in) ** 0.5, variable.shape))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(
    "encoder", ["fused_efficientnet_s", pytest.param("efficientnet_b0", marks=pytest.mark.slow)]
)
def test_mixed_precision(encoder, policy, tmp_path):
    make = functools.partial(
        ESeg, encoder, num_classes=5, max_level=5, decoder_channels=8, decoder_repeats=1
    )
    full = make()
    keep_the_variance(full)
    mixed = make(dtype=policy)
    mixed.set_weights(full.get_weights())
    images, masks = batch(5)
    expected, logits = full(images), np.asarray(mixed(images))
    assert logits.dtype == np.float32
    assert mixed.encoder.layers[-1].compute_dtype == policy.removeprefix("mixed_")
    np.testing.assert_allclose(logits, expected, rtol=0, atol=0.1 * np.abs(expected).max())
    # Compiled for float16, because loss scaling is part of the compiled step.
    mixed.compile(run_eagerly=encoder != "fused_efficientnet_s" or policy == "mixed_bfloat16")
    # float16 needs loss scaling, as with Keras' global policy.
    scaled = isinstance(mixed.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    loss = mixed.fit(images, masks, epochs=1, verbose=0).history["loss"][0]
    assert np.isfinite(loss)
    assert keras.config.dtype_policy().name == "float32"
    mixed.save(tmp_path / "mixed.keras")
    loaded = keras.models.load_model(tmp_path / "mixed.keras")
    np.testing.assert_array_equal(loaded(images), mixed(images))
    assert type(loaded.optimizer) is type(mixed.optimizer)
    for ours, theirs in zip(mixed.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_eseg_l_trains_one_step():
    model = short("eseg_l")
    model.compile(run_eagerly=True)
    images, masks = batch(5, (64, 64))
    before = model.head.get_layer("classifier").kernel.numpy()
    assert np.isfinite(model.train_on_batch(images, masks)[0])
    assert not np.array_equal(before, model.head.get_layer("classifier").kernel)
