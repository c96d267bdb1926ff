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
@pytest.mark.parametrize("gradient_accumulation_steps", [1, 2])
def test_two_devices_train_as_one_does(tmp_path, gradient_accumulation_steps):
    results = []
    for devices in (1, 2):
        output = tmp_path / f"{devices}.npz"
        command = [sys.executable, SCRIPT, "auto", devices, 8, gradient_accumulation_steps, output]
        flags = f"--xla_force_host_platform_device_count={devices}"
        done = subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            env={**os.environ, "XLA_FLAGS": flags},
        )
        assert done.returncode == 0, done.stderr[-3000:]
        results.append(np.load(output))
    one, two = results
    assert (one["devices"], two["devices"]) == (1, 2)
    assert np.isfinite(one["logs"]).all()
    for name in set(one.files) - {"devices"}:
        np.testing.assert_allclose(two[name], one[name], atol=1e-5, err_msg=name)
