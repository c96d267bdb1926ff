"""Fixtures that run a benchmark, in a new process or in this one."""

import importlib
import pathlib
import subprocess
import sys

import pytest

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def run():
    """Run a benchmark in a new process, as a user does."""

    def run(name, *options):
        command = [sys.executable, BENCHMARKS / f"{name}.py", *map(str, options)]
        return subprocess.run(command, capture_output=True, text=True, timeout=600)

    return run


@pytest.fixture
def run_here(monkeypatch, capsys):
    """Run a benchmark in this process, which has imported TensorFlow or JAX already."""

    def run(name, *options):
        monkeypatch.syspath_prepend(BENCHMARKS)
        arguments = [f"{name}.py", *map(str, options)]
        monkeypatch.setattr(sys, "argv", arguments)
        status = 0
        try:
            importlib.import_module(name).main()
        except SystemExit as end:
            status = end.code
        return subprocess.CompletedProcess(arguments, status, *capsys.readouterr())

    return run
