import csv
import json
import os
import signal
import subprocess
import sys
import time

import h5py
import keras
import numpy as np
import pytest

from eseg_keras import ESeg
from eseg_keras.files import FileInUseError, locked, write_json
from eseg_keras.presets.files import WEIGHTS_FILE
from eseg_keras.street_scenes import CLASS_NAMES
from eseg_keras.trainer import TrainingModel
from eseg_keras.training import Experiment, train
from eseg_keras.training.checkpoints import checkpoint_files, read_arrays
from eseg_keras.training.distribution import ONE_DEVICE
from eseg_keras.training.run import _fresh_statistics

TINY = dict(
    data="street_scenes",
    load_weights=False,
    max_level=5,
    decoder_channels=8,
    image_size=(64, 96),
    batch_size=2,
    train_examples=4,
    val_examples=2,
    learning_rate=0.01,
)


class TwoBatches:
    """Two batches of two images each; the test trains on the first only."""

    images = np.random.default_rng(0).normal(3, 2, (4, 5)).astype("float32")

    def __len__(self):
        return 2

    def batch(self, epoch, number):
        return self.images[2 * number : 2 * number + 2], np.zeros(2)


@pytest.mark.parametrize("ema_decay", [None, 0.5])
def test_statistics_are_fresh_for_a_while(ema_decay):
    inputs = keras.Input((5,))
    norm, dropout = keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)
    model = TrainingModel(inputs, keras.layers.Dense(1)(dropout(norm(inputs))))
    model.compile("sgd", "mse", ema_decay=ema_decay, jit_compile=False)
    model.fit(TwoBatches.images[:2], np.ones((2, 1)), verbose=0)

    def state():
        variables = [*model.variables, *model.optimizer.variables]
        return [keras.ops.convert_to_numpy(variable) for variable in variables]

    before = state()
    with _fresh_statistics(model, TwoBatches(), batch_size=2):
        for name in ("mean", "var"):
            found = {"mean": norm.moving_mean, "var": norm.moving_variance}[name]
            expected = getattr(np, name)(TwoBatches.images, axis=0)
            np.testing.assert_allclose(keras.ops.convert_to_numpy(found), expected, rtol=1e-5)
    # All state is restored, including dropout seeds: validations do not change the training.
    for a, b in zip(before, state(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_two_processes_do_not_train_one_run(tmp_path):
    with locked(tmp_path / "run"):
        message = rf"run is in use by process {os.getpid()} on \S+ since"
        with pytest.raises(FileInUseError, match=message):
            train(Experiment(**TINY), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_run_and_what_it_leaves(tmp_path):
    experiment = Experiment(**TINY, epochs=2, keep="best", freeze=("encoder",))
    metrics = train(experiment, tmp_path / "run")
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    files = ["best.npz", "config.json", "log.csv", "metrics.json", "preset", "tensorboard"]
    assert names == files
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == metrics

    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    best = max(float(row["val_mean_iou"]) for row in rows)
    # With keep="best", the score of the preset is the best score in the log.
    assert metrics["mean_iou"] == pytest.approx(best, rel=1e-5)
    assert metrics["best_mean_iou"] == pytest.approx(best, rel=1e-6)

    model = ESeg.from_preset(str(tmp_path / "run" / "preset"))
    assert model.class_names == CLASS_NAMES
    assert model.training_long_side == max(experiment.image_size)
    keras.utils.set_random_seed(0)
    sizes = {"num_classes": len(CLASS_NAMES), "max_level": 5, "decoder_channels": 8}
    start = ESeg.from_preset("eseg_lite_s", **sizes, load_weights=False)
    for part, changes in (("encoder", False), ("head", True)):
        before, after = getattr(start, part).weights, getattr(model, part).weights
        same = all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        assert same != changes

    # Repeating the command does not train again.
    changed = (tmp_path / "run" / "log.csv").stat().st_mtime_ns
    assert train(experiment, tmp_path / "run") == metrics
    assert (tmp_path / "run" / "log.csv").stat().st_mtime_ns == changed


def weights_of(preset):
    arrays = {}
    with h5py.File(preset / WEIGHTS_FILE) as file:
        file.visititems(
            lambda name, item: (
                arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return arrays


# Settings with all kinds of state: momentum, averages, order and augmentation of images, metrics
# within an epoch, best score.
RESUMED = {
    **TINY,
    "max_level": 4,
    "image_size": "64,96",
    "train_examples": 6,
    "epochs": 3,
    "warmup_steps": 2,
    "weight_decay": 5e-5,
    "ema_decay": 0.99,
    "loss": "ohem",
    "photometric_distortion": True,
    "global_clipnorm": 5,
    "checkpoint_steps": 1,
    "keep": "best",
}


def command(model_dir, **values):
    flags = [flag for key, value in values.items() for flag in ("--set", f"{key}={value}")]
    start = [sys.executable, "-m", "eseg_keras.cli.main", "train"]
    return [*start, "--experiment", "smoke/street_scenes", *flags, "--model_dir", model_dir]


def options():
    # With one thread, sums have a fixed order, so results are equal bit by bit.
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    environment = {**os.environ, **threads}
    return dict(env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def stop_at(run, step, kill_signal, **values):
    """Start or resume a run; stop it after the checkpoint of `step`; return status and output."""
    process = subprocess.Popen(command(run, **values), **options())
    try:
        deadline = time.monotonic() + 300
        while not (run / "checkpoints" / f"step_{step:09d}.npz").exists():
            assert process.poll() is None and time.monotonic() < deadline, process.stdout.read()
            time.sleep(0.005)
        process.send_signal(kill_signal)
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, output


@pytest.mark.slow
def test_a_killed_run_ends_where_an_unkilled_one_does(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = subprocess.run(command(whole, **RESUMED), **options())
    assert done.returncode == 0, done.stdout

    # Killed in the first epoch, without warning.
    status, _ = stop_at(killed, 2, signal.SIGKILL, **RESUMED)
    assert status == -signal.SIGKILL
    # SIGTERM in the second epoch: one more checkpoint is written.
    status, output = stop_at(killed, 5, signal.SIGTERM, **RESUMED)
    assert status == 128 + signal.SIGTERM and "stopped by SIGTERM" in output
    # Truncate the last checkpoint, as after a power failure: the checkpoint before it is used.
    latest = checkpoint_files(killed / "checkpoints")[-1]
    latest.write_bytes(latest.read_bytes()[:-1000])
    # --model_dir is enough to resume.
    resume = [sys.executable, "-m", "eseg_keras.cli.main", "train", "--model_dir", killed]
    done = subprocess.run(resume, **options())
    assert done.returncode == 0 and "damaged or incomplete" in done.stdout, done.stdout

    first, second = weights_of(whole / "preset"), weights_of(killed / "preset")
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array, err_msg=name)
    for name in ("metrics.json", "log.csv"):
        assert (killed / name).read_text() == (whole / name).read_text()
    best = [read_arrays(run / "best.npz") for run in (whole, killed)]
    for name, array in best[0].items():
        np.testing.assert_array_equal(best[1][name], array, err_msg=name)


def test_a_run_that_another_process_finished_meanwhile(tmp_path, monkeypatch):
    metrics = {"num_images": 1, "per_class_iou": {"a": 0.5}}

    def finish(*_):
        write_json(tmp_path / "metrics.json", metrics)
        return ONE_DEVICE

    monkeypatch.setattr("eseg_keras.training.run.make_distribution", finish)
    assert train(Experiment(data="street_scenes"), tmp_path) == metrics
