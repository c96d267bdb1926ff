"""Counts over replicas, on logical devices of a separate process."""

import pathlib
import subprocess
import sys

import keras
import pytest


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute")
def test_replicas_count_what_one_device_counts():
    script = pathlib.Path(__file__).with_name("replicated_counts.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "replicated" in done.stdout, done.stderr[-2000:]
