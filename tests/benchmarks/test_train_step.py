"""The benchmark of the training step runs and resumes."""

import csv

import keras
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(keras.backend.backend() == "torch", reason="trains on TensorFlow and JAX"),
]


TINY = ["--shrink", 8, "--batch_size", 2, "--steps", 1, "--rounds", 1]
TINY += ["--presets", "eseg_lite_s", "--precisions", "float32"]


def test_rows_are_measured_once_and_kept(tmp_path, run, run_here):
    output = tmp_path / "train_step.csv"
    done = run("train_step", *TINY, "--output", output)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    (row,) = csv.DictReader(output.open())
    assert (row["preset"], row["crop"], row["batch_size"]) == ("eseg_lite_s", "128x128", "2")
    assert row["backend"] == keras.backend.backend()
    # A test cannot check the times themselves, but the columns must be consistent.
    speed = float(row["images_per_second"])
    share = float(row["input_percent"]) / 100
    seconds = float(row["step_ms"]) / 1000
    assert speed == pytest.approx(2 / seconds * (1 - share), rel=0.02)
    assert float(row["ema_percent"]) > -100
    assert int(row["peak_memory_mb"]) > int(row["memory_before_mb"]) > 100

    before = output.read_text()
    done = run_here("train_step", *TINY, "--output", output)
    assert done.returncode == 0 and "measured before" in done.stdout, done.stdout + done.stderr
    assert output.read_text() == before


def test_a_row_that_fails_is_no_row(tmp_path, run):
    output = tmp_path / "train_step.csv"
    if any(name.startswith("gpu") for name in keras.distribution.list_devices()):
        pytest.skip("there is a GPU")
    done = run("train_step", *TINY, "--device", "gpu", "--output", output)
    assert done.returncode == 1 and "failed" in done.stdout, done.stdout + done.stderr[-2000:]
    assert not output.exists()
