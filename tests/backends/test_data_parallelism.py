"""Data parallelism on JAX with two devices, without TensorFlow."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).parents[1] / "training" / "train_small.py"


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="TensorFlow has its own test")
def test_two_devices_train_as_one_does(tmp_path):
    trainings = ["8x1", "8x2"]
    results = []
    for devices in (1, 2):
        folder = tmp_path / str(devices)
        folder.mkdir()
        command = [sys.executable, SCRIPT, "auto", str(devices), folder, *trainings]
        flags = os.environ.get("XLA_FLAGS", "")
        flags += f" --xla_force_host_platform_device_count={devices}"
        environment = {**os.environ, "XLA_FLAGS": flags}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        results.append([np.load(folder / f"{training}.npz") for training in trainings])
    for one, two in zip(*results, strict=True):
        assert (one["devices"], two["devices"]) == (1, 2)
        assert np.isfinite(one["logs"]).all()
        for name in set(one.files) - {"devices"}:
            np.testing.assert_allclose(two[name], one[name], atol=1e-5, err_msg=name)
