"""Batch statistics over replicas, on logical devices of a separate process."""

import pathlib
import subprocess
import sys


def test_statistics_are_those_of_the_global_batch():
    script = pathlib.Path(__file__).with_name("synchronized_statistics.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "synchronized" in done.stdout, done.stderr[-2000:]
