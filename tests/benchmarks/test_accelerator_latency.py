"""The benchmark for GPUs and TPUs runs on a CPU, and resumes."""

import csv
import pathlib

import keras
import pytest

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="requires JAX")


TINY = ["--sizes", "32x64", "--batch_sizes", 2, "--rounds", 2, "--precisions", "float32"]


def test_rows_are_measured_once_and_kept(tmp_path, run, run_here):
    output = tmp_path / "latency.csv"
    options = [*TINY, "--presets", "eseg_lite_s", "--output", output]
    done = run("accelerator_latency", *options)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    (row,) = csv.DictReader(output.open())
    assert (row["network"], row["precision"]) == ("eseg_lite_s", "float32")
    assert (row["size"], row["batch_size"]) == ("32x64", "2")
    assert float(row["ratio"]) == 1 and row["reference"] == "eseg_lite_s float32"
    assert float(row["lower_quartile_ms"]) <= float(row["median_ms"])
    assert 0 < float(row["lower_quartile_images_per_second"]) <= float(row["images_per_second"])

    before = output.read_text()
    done = run_here("accelerator_latency", *options)
    assert done.returncode == 0 and "measured before" in done.stdout, done.stdout + done.stderr
    assert output.read_text() == before


def test_label_maps_come_out(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from accelerator_latency import compiled

    labels = compiled("eseg_lite_s", "bfloat16", (32, 64), 2)()
    assert labels.shape == (2, 32, 64) and str(labels.dtype) == "uint8"


def test_a_preset_that_does_not_load_is_skipped(tmp_path, run_here):
    output = tmp_path / "latency.csv"
    options = [*TINY, "--presets", "eseg_xl", "--output", output]
    done = run_here("accelerator_latency", *options)
    assert done.returncode == 1 and "skipped" in done.stdout, done.stdout + done.stderr[-2000:]
    assert not output.exists()
