"""Resuming from a checkpoint gives the same results as an uninterrupted run."""

import logging
import resource
import threading

import keras
import numpy as np
import pytest
from keras import layers

from eseg_keras.trainer import TrainingModel
from eseg_keras.training.callbacks import Preempted, SaveInEpoch
from eseg_keras.training.checkpoints import (
    AddMetrics,
    Position,
    checkpoint_files,
    latest_checkpoint,
    restore,
    save_checkpoint,
)

rng = np.random.default_rng(0)
IMAGES = rng.normal(size=(12, 6)).astype("float32")
LABELS = rng.integers(0, 3, 12)


def make_model(seed=0, units=8, dtype="float32", ema_decay=0.9, momentum=0.9, **options):
    """Build a model with all kinds of state: statistics, dropout seeds, momentum."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6,), dtype="float32")
    x = layers.Dense(units, dtype=dtype)(inputs)
    x = layers.BatchNormalization(dtype=dtype)(x)
    x = layers.Dropout(0.5, dtype=dtype)(x)
    model = TrainingModel(inputs, layers.Dense(3, dtype="float32")(x))
    if "float16" in str(dtype):
        # Keras scales the loss depending on the dtype policy of the model.
        model.dtype_policy = dtype
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 60)
    model.compile(
        keras.optimizers.SGD(schedule, momentum=momentum),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        ema_decay=ema_decay,
        # For a few small steps, eager execution is faster than tracing.
        run_eagerly=True,
        **options,
    )
    return model


def fit(model, first=0, last=4, callbacks=()):
    """Train on some of the four batches of an epoch."""
    part = slice(3 * first, 3 * last)
    return model.fit(
        IMAGES[part], LABELS[part], batch_size=3, shuffle=False, verbose=0,
        callbacks=list(callbacks),
    ).history  # fmt: skip


def state(model):
    variables = [*model.weights, *model.non_trainable_variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def assert_same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ema_decay": None},
        {"ema_decay": None, "momentum": 0.0},
        {"global_clipnorm": 0.1, "weight_decay": 0.01},
        {"dtype": "mixed_float16"},
        {"dtype": "mixed_float16", "ema_decay": None},
    ],
)
def test_everything_comes_back(tmp_path, options):
    whole = make_model(**options)
    start = state(whole)
    fit(whole)
    saved = state(whole)
    path = save_checkpoint(tmp_path / "new", whole, Position(4, 1))
    history = fit(whole)

    # As in a new process: the model has other weights, and its optimizer is not built.
    model = make_model(seed=1, **options)
    assert not np.array_equal(state(model)[0], start[0])
    restore(model, latest_checkpoint(path.parent)[1])
    assert_same(state(model), saved)
    # Most variables differ from their initial values.
    moved = [not np.array_equal(a, b) for a, b in zip(start, saved, strict=False)]
    assert sum(moved) > len(moved) / 2
    # In mixed_float16, the first steps may be skipped and only lower the loss scale.
    assert 1 <= int(keras.ops.convert_to_numpy(model.optimizer.iterations)) <= 4
    is_scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert is_scaled == ("dtype" in options)
    # Dropout and learning rate continue as in the uninterrupted run.
    assert fit(model) == history
    assert_same(state(model), state(whole))


def test_the_latest_two_are_kept(tmp_path):
    model = make_model()
    fit(model)
    for step in (998, 999, 1000, 123456789):
        path = save_checkpoint(tmp_path, model, Position(step, 0))
    names = [file.name for file in checkpoint_files(tmp_path)]
    assert names == ["step_000001000.npz", "step_123456789.npz"]
    assert sorted(file.name for file in tmp_path.iterdir()) == names
    assert latest_checkpoint(tmp_path)[0].step == 123456789
    assert path.name == names[-1]


@pytest.mark.parametrize(
    "position", [Position(7, 2, 3), Position(8, 2, 4, {"loss": 0.1 + 0.2, "accuracy": 1.0})]
)
def test_position_and_logs_come_back(tmp_path, position):
    model = make_model()
    fit(model)
    save_checkpoint(tmp_path, model, position)
    found, arrays = latest_checkpoint(tmp_path)
    assert found == position
    # The state of metrics is stored within epochs only.
    assert any(name.startswith("metric/") for name in arrays) == (position.logs is None)


def test_no_checkpoint_is_the_start(tmp_path):
    assert latest_checkpoint(tmp_path / "none") == (Position(), {})


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def without_position(path):
    arrays = {name: array for name, array in np.load(path).items() if name != "position"}
    np.savez(path, **arrays)


def of_another_version(path):
    arrays = dict(np.load(path)) | {"position": np.array('{"steps": 1}')}
    np.savez(path, **arrays)


@pytest.mark.parametrize("damage", [cut, without_position, of_another_version])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, caplog, damage):
    model = make_model()
    for epoch in (1, 2):
        fit(model)
        save_checkpoint(tmp_path, model, Position(4 * epoch, epoch))
    damage(tmp_path / "step_000000008.npz")
    with caplog.at_level(logging.WARNING, "eseg_keras"):
        position, arrays = latest_checkpoint(tmp_path)
    assert position == Position(4, 1) and arrays
    assert "step_000000008.npz" in caplog.text and "Trying the checkpoint before it" in caplog.text

    damage(tmp_path / "step_000000004.npz")
    assert latest_checkpoint(tmp_path) == (Position(), {})


def test_another_model_or_optimizer_is_refused(tmp_path):
    model = make_model()
    fit(model)
    save_checkpoint(tmp_path, model, Position(4, 1))
    _, arrays = latest_checkpoint(tmp_path)
    before = state(other := make_model(units=9))
    with pytest.raises(
        ValueError, match=r"another model: '\w+/\d+' has the shape \(6, 8\) in the checkpoint and"
    ):
        restore(other, arrays)
    # No variable was changed.
    assert_same(state(other), before)
    for options in ({"ema_decay": None}, {"dtype": "mixed_float16"}, {"momentum": 0.0}):
        with pytest.raises(ValueError, match=r"another model or optimizer: \d+ variables .* such"):
            restore(make_model(**options), arrays)


@pytest.mark.parametrize("stops", [(2,), (3,), (1, 2, 3)])
def test_metrics_of_an_interrupted_epoch_are_those_of_the_whole(tmp_path, stops):
    expected = fit(make_model())
    first, arrays = 0, {}
    for last in stops:
        model, leave = make_model(seed=first), threading.Event()
        if first:
            restore(model, arrays)

        def save(done, model=model, leave=leave, first=first, last=last):
            save_checkpoint(tmp_path, model, Position(first + done, 0, first + done))
            if first + done == last:
                leave.set()

        with pytest.raises(Preempted):
            fit(model, first, 4, [AddMetrics(arrays), SaveInEpoch(save, 1, leave, first)])
        position, arrays = latest_checkpoint(tmp_path)
        assert position == Position(last, 0, last)
        first = last
    model = make_model(seed=1)
    restore(model, arrays)
    assert fit(model, first, 4, [AddMetrics(arrays)]) == expected


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_not_saved(tmp_path, value):
    model = make_model()
    fit(model)
    save_checkpoint(tmp_path, model, Position(4, 1))
    kernel = model.trainable_variables[0]
    kernel.assign(np.full(kernel.shape, value, "float32"))
    with pytest.raises(ValueError, match="no longer finite after step 8"):
        save_checkpoint(tmp_path, model, Position(8, 2))
    assert [path.name for path in tmp_path.iterdir()] == ["step_000000004.npz"]


def test_a_full_disk_costs_no_checkpoint(tmp_path):
    model = make_model(units=64)
    fit(model)
    for step in (1, 2):
        save_checkpoint(tmp_path, model, Position(step, 0))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError):
            save_checkpoint(tmp_path, model, Position(3, 0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["step_000000001.npz", "step_000000002.npz"]
    restore(make_model(units=64), latest_checkpoint(tmp_path)[1])
