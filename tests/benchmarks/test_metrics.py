"""The benchmark of the metrics runs."""

import csv
import pathlib
import subprocess
import sys

import keras
import pytest

BENCHMARK = pathlib.Path(__file__).parents[2] / "benchmarks" / "metrics.py"


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="needs tf.math.bincount")
def test_the_benchmark_runs(tmp_path):
    output = tmp_path / "metrics.csv"
    command = [sys.executable, BENCHMARK, "--rounds", "2", "--threads", "1", "--output", output]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = list(csv.DictReader(output.open()))
    ratios = [float(row["ratio"]) for row in rows if row["predictions"] != "logits"]
    # A test cannot check the times themselves.
    assert len(ratios) == 6 and min(ratios) > 0, rows
