import csv
import json
import os
import subprocess
import sys
import time

import h5py
import keras
import numpy as np
import pytest

from eseg_keras import ESeg
from eseg_keras.data.scenes import CLASS_NAMES
from eseg_keras.presets.files import WEIGHTS_FILE
from eseg_keras.training import Experiment, train
from eseg_keras.training.run import _learning_rate

TINY = dict(
    data="street_scenes",
    load_weights=False,
    image_size=(64, 96),
    batch_size=2,
    train_examples=4,
    val_examples=2,
    learning_rate=0.01,
)


def test_learning_rate_warms_up_and_ends_at_zero():
    experiment = Experiment(learning_rate=0.08, warmup_steps=10)
    schedule = _learning_rate(experiment, num_steps=110)
    rates = np.array([float(schedule(step)) for step in range(111)])
    np.testing.assert_allclose(rates[:11], 0.08 * np.arange(11) / 10, atol=1e-7)
    cosine = 0.04 * (1 + np.cos(np.pi * np.arange(101) / 100))
    np.testing.assert_allclose(rates[10:], cosine, atol=1e-7)
    plain = _learning_rate(Experiment(learning_rate=0.08), num_steps=100)
    np.testing.assert_allclose([float(plain(s)) for s in range(101)], cosine, atol=1e-7)


def test_warm_up_must_end():
    with pytest.raises(ValueError, match="warmup_steps=10 leaves nothing of the 10 steps"):
        _learning_rate(Experiment(warmup_steps=10), num_steps=10)


@pytest.mark.slow
def test_a_run_and_what_it_leaves(tmp_path):
    experiment = Experiment(**TINY, epochs=2, keep="best", freeze=("encoder",))
    metrics = train(experiment, tmp_path / "run")
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["best.weights.h5", "config.json", "log.csv", "metrics.json", "preset"]
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == metrics

    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    best = max(float(row["val_mean_iou"]) for row in rows)
    # keep="best": what the preset scores is the best score of the log.
    assert metrics["mean_iou"] == pytest.approx(best, rel=1e-5)
    assert metrics["best_mean_iou"] == pytest.approx(best, rel=1e-6)

    model = ESeg.from_preset(str(tmp_path / "run" / "preset"))
    assert model.class_names == CLASS_NAMES
    keras.utils.set_random_seed(0)
    start = ESeg.from_preset("eseg_lite_s", num_classes=len(CLASS_NAMES), load_weights=False)
    for part, changes in (("encoder", False), ("head", True)):
        before, after = getattr(start, part).weights, getattr(model, part).weights
        same = all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        assert same != changes

    # The same command again trains nothing.
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


@pytest.mark.slow
def test_a_killed_run_ends_where_an_unkilled_one_does(tmp_path):
    values = {**TINY, "image_size": "64,96", "epochs": 5, "warmup_steps": 2}
    flags = [flag for key, value in values.items() for flag in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "eseg_keras.cli.main", "train"]
    command += ["--experiment", "smoke/street_scenes", *flags, "--model_dir"]
    # One thread: sums are then made in one order, and every bit can be compared.
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    options = dict(env={**os.environ, **threads}, stdout=subprocess.DEVNULL)

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*command, whole], check=True, **options)
    process = subprocess.Popen([*command, killed], **options)
    try:
        deadline = time.monotonic() + 300
        while not list(killed.glob("backup/epoch_00000[23].weights.h5")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert not (killed / "preset").exists()
    subprocess.run([*command, killed], check=True, **options)

    first, second = weights_of(whole / "preset"), weights_of(killed / "preset")
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array, err_msg=name)
    for name in ("metrics.json", "log.csv"):
        assert (killed / name).read_text() == (whole / name).read_text()
