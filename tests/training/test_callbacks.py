"""Keras callbacks in `train`."""

import dataclasses

import keras
import pytest

from eseg_keras.training import Experiment, train
from eseg_keras.training.checkpoints import read_arrays, write_arrays
from eseg_keras.training.run_files import read_log


class Recorder(keras.callbacks.Callback):
    """Record each call."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.calls = []
        self.stop_at = stop_at

    def on_train_begin(self, logs=None):
        self.calls.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(f"epoch {epoch} of {self.params['epochs']}")

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(f"batch {batch}")
        assert logs["loss"] > 0
        if self.stop_at == len(self.calls):
            self.model.stop_training = True

    def on_test_begin(self, logs=None):
        self.calls.append("test")

    def on_test_batch_end(self, batch, logs=None):
        self.calls.append(f"test batch {batch}")

    def on_test_end(self, logs=None):
        assert logs["loss"] > 0
        self.calls.append("test end")

    def on_epoch_end(self, epoch, logs=None):
        assert {"loss", "mean_iou"} <= set(logs)
        self.calls.append(f"end {epoch}" + " validated" * ("val_mean_iou" in logs))

    def on_train_end(self, logs=None):
        self.calls.append("end")


@pytest.fixture
def experiment(tmp_path, small_eseg):
    small_eseg().save_to_preset(tmp_path / "small")
    return Experiment(
        preset=str(tmp_path / "small"),
        data="street_scenes",
        image_size=(64, 96),
        batch_size=2,
        train_examples=4,
        val_examples=1,
        epochs=3,
        val_every=2,
        ema_decay=0.5,
    )


pytestmark = pytest.mark.usefixtures("eagerly")


def test_they_are_called_as_by_one_fit_and_early_stopping_ends_it(experiment, tmp_path):
    recorder = Recorder()
    # The learning rate decreases, so there is no improvement from the second epoch on.
    stopping = keras.callbacks.EarlyStopping("learning_rate", mode="max")
    metrics = train(experiment, tmp_path / "run", callbacks=[recorder, stopping])
    assert recorder.calls == [
        "begin",
        "epoch 0 of 3", "batch 0", "batch 1", "end 0",
        "epoch 1 of 3", "batch 0", "batch 1", "test", "test batch 0", "test end", "end 1 validated",
        "end",
    ]  # fmt: skip
    assert (metrics["steps"], metrics["epochs"]) == (4, 2)


def test_one_ends_the_run_within_an_epoch(experiment, tmp_path):
    # Stop at the first batch of the second epoch; the run still validates after that epoch.
    recorder = Recorder(stop_at=7)
    metrics = train(experiment, tmp_path / "run", callbacks=[recorder])
    assert recorder.calls[-4:] == ["test batch 0", "test end", "end 1 validated", "end"]
    assert (metrics["steps"], metrics["epochs"]) == (3, 2)
    assert (tmp_path / "run" / "preset").is_dir()


def test_a_run_stopped_before_its_first_validation_has_a_result(experiment, tmp_path):
    stopping = keras.callbacks.EarlyStopping("learning_rate", mode="max", patience=0)
    experiment = dataclasses.replace(experiment, val_every=3, keep="best")
    metrics = train(experiment, tmp_path / "run", callbacks=[stopping])
    assert metrics["epochs"] == 2
    assert metrics["best_mean_iou"] == pytest.approx(metrics["mean_iou"]) and "best.npz" in [
        path.name for path in (tmp_path / "run").iterdir()
    ]
    assert (tmp_path / "run" / "preset").is_dir()


class Zero(keras.callbacks.Callback):
    """Changes the weights at the end, as `EarlyStopping(restore_best_weights=True)` does."""

    def on_train_end(self, logs=None):
        for weight in self.model.head.trainable_variables:
            weight.assign(0 * weight)


def test_metrics_are_those_of_the_weights_that_a_callback_leaves(experiment, tmp_path):
    experiment = dataclasses.replace(experiment, epochs=1, val_every=1, ema_decay=None)
    metrics = train(experiment, tmp_path / "run", callbacks=[Zero()])
    # All logits are equal, so every pixel gets the first class.
    ious = list(metrics["per_class_iou"].values())
    assert ious[0] > 0 and not any(ious[1:])


def test_a_removed_log_loses_no_best_weights(experiment, tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    run = tmp_path / "run"
    experiment = dataclasses.replace(experiment, val_every=1, keep="best")
    with pytest.raises(KeyboardInterrupt):
        train(experiment, run, callbacks=[Interrupt()])
    arrays = read_arrays(run / "best.npz")
    write_arrays(run / "best.npz", {**arrays, "score": 0.99})
    (run / "log.csv").unlink()
    metrics = train(experiment, run)
    assert metrics["best_mean_iou"] == 0.99
    # The second epoch is not trained again, but validated and logged again.
    assert [row["epoch"] for row in read_log(run / "log.csv")] == ["1", "2"]


def test_a_run_that_resumes_begins_with_the_interrupted_epoch(experiment, tmp_path):
    class Interrupt(Recorder):
        def on_test_begin(self, logs=None):
            raise KeyboardInterrupt

    experiment = dataclasses.replace(experiment, epochs=2)
    first, second = Interrupt(), Recorder()
    with pytest.raises(KeyboardInterrupt):
        train(experiment, tmp_path / "run", callbacks=[first])
    assert first.calls[-3:] == ["epoch 1 of 2", "batch 0", "batch 1"]
    metrics = train(experiment, tmp_path / "run", callbacks=[second])
    assert second.calls == [
        "begin", "epoch 1 of 2", "test", "test batch 0", "test end", "end 1 validated", "end",
    ]  # fmt: skip
    assert (metrics["steps"], metrics["epochs"]) == (4, 2)
