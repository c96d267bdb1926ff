"""Tests of `eseg benchmark`, but not of the measured times."""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest

from eseg_keras import ESeg
from eseg_keras.cli import benchmark

FORMATS = ["keras", "saved_model", "tflite", "tflite_int8", "onnx", "onnx_int8", "openvino"]

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="files are exported by TensorFlow"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Folder that keeps exported files for all tests of this module."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture
def preset(preset_for_processes):
    return preset_for_processes


@pytest.fixture
def run(eseg, preset, files):
    """Function that measures the latency of ONNX on a tiny image.

    TensorFlow formats are not measured in this process, because the number of threads must be set
    before TensorFlow is used for the first time.
    """
    pytest.importorskip("tf2onnx")
    tiny = ["--format", "onnx", "--image_size", 64, 96, "--threads", 1, "--rounds", 2]

    def run(*flags, network=("--preset", preset)):
        return eseg("benchmark", *network, *tiny, "--cache_dir", files, *flags)

    return run


def test_table_and_files(run, preset, tmp_path):
    output = tmp_path / "new" / "times.csv"
    status, out, err = run("--output", output)
    assert status == 0, out + err
    assert "One image of 64x96, 1 thread; ratio to untrained onnx" in out
    assert "median ms" in out and "2 interleaved rounds" in out and "Recommended" not in out
    (row,) = csv.DictReader(output.open())
    assert list(row)[0] == "ratio" and row["ratio"] == "1.0"
    assert (row["network"], row["format"], row["size"]) == ("untrained", "onnx", "64x96")
    assert (row["output"], row["weights"]) == ("uint8 1x64x96", "trained")
    assert row["runtime"].startswith("onnxruntime ") and row["cpu"] and row["keras"]
    assert float(row["lower_quartile_ms"]) <= float(row["median_ms"])

    output = tmp_path / "times.json"
    assert run("--output", output, "--budget_ms", 1e6)[0] == 0
    found = json.loads(output.read_text())
    assert found["machine"]["cores"] > 0 and found["rows"][0]["network"] == "untrained"
    assert found["recommendation"][0].startswith("Recommended within 1e+06 ms: untrained as onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "times.json"]


def test_nothing_is_within_the_budget(run):
    status, out, _ = run("--budget_ms", 0.001)
    assert status == 0 and "No measured network is within 0.001 ms" in out


def test_a_runtime_that_is_not_installed_is_skipped(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    status, out, _ = run("--format", "tflite", "tflite_int8", "onnx")
    assert status == 0 and "untrained onnx" in out
    (line,) = [line for line in out.splitlines() if line.startswith("Skipped")]
    assert "untrained tflite, untrained tflite_int8." in line
    assert 'pip install "eseg-keras[export]"' in line

    status, out, err = run("--format", "tflite")
    assert status == 2 and "nothing to measure" in err


def test_a_finished_run_is_named_after_its_folder(run, preset, files, tmp_path):
    # The folder has the name and the weights of the preset, so the exported file is reused.
    folder = tmp_path / "untrained"
    folder.mkdir()
    (folder / "preset").symlink_to(preset)
    status, out, err = run("--rounds", 1, network=("--model_dir", folder))
    assert status == 0 and "ratio to untrained onnx" in out, err

    status, _, err = run(network=("--model_dir", tmp_path))
    assert status == 2 and f"{tmp_path} contains no finished run" in err


def test_an_interruption_leaves_the_rounds_before_it(run, monkeypatch, tmp_path):
    from eseg_keras.latency import measurement

    def interrupted(*arguments, **options):
        yield from list(real(*arguments, **options))[:1]
        raise KeyboardInterrupt

    real = measurement.measure
    monkeypatch.setattr(measurement, "measure", interrupted)
    output = tmp_path / "times.csv"
    status, out, _ = run("--output", output)
    assert status == 130 and "Interrupted: 1 of 2 rounds." in out
    assert next(csv.DictReader(output.open()))["rounds"] == "1"


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--image_size", "16", "64"], "--image_size: must be at least 32. Received: 16"),
        (["--threads", "0"], "--threads: must be at least 1. Received: 0"),
        (["--threads", "40000"], "--threads must be at most "),
        (["--rounds", "0"], "--rounds: must be at least 1"),
        (["--budget_ms", "-5"], "--budget_ms: must be at least 0.001. Received: -5"),
        (["--budget_ms", "nan"], "--budget_ms: must be at least 0.001. Received: nan"),
        (["--output", "times.txt"], "--output must end in .csv or .json"),
        (["--output", f"{__file__}/times.csv"], "test_benchmark.py is not a folder"),
        (["--cache_dir", __file__], "test_benchmark.py is not a folder"),
        (["--preset", "eseg_s", "eseg_s"], "contains a preset twice"),
        (["--preset", "eseg_s", "mine", "--budget_ms", "5"], "Received: mine"),
        (["--preset", "eseg_x", "--format", "onnx"], "Unknown preset 'eseg_x'"),
        (["--format", "onyx"], "invalid choice: 'onyx'"),
        (["--preset", "eseg_s", "--model_dir", "runs/demo"], "not allowed with"),
    ],
)
def test_mistakes(eseg, flags, message):
    status, out, err = eseg("benchmark", *flags)
    assert (status, out) == (2, "") and message in err


def test_a_network_of_another_size(eseg, tmp_path):
    model = ESeg.from_preset("eseg_lite_s_streets", image_shape=(64, 96, 3))
    model.save_to_preset(tmp_path / "fixed")
    flags = ["--preset", tmp_path / "fixed", "--image_size", 64, 64, "--format", "onnx"]
    status, _, err = eseg("benchmark", *flags)
    assert status == 2 and "built for images of (64, 96)" in err and err.count("\n") == 1


def test_the_formats_are_those_of_the_package():
    from eseg_keras.latency import FORMATS as known

    assert list(benchmark.FORMATS) == list(known) == FORMATS


@pytest.mark.slow
def test_every_format_in_a_process_of_its_own(tmp_path, preset):
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("tf2onnx")
    output = tmp_path / "times.json"
    arguments = ["benchmark", "--preset", preset, "--image_size", "64", "96"]
    arguments += ["--threads", "1", "--rounds", "1", "--budget_ms", "1000000", "--output", output]
    command = [sys.executable, "-m", "eseg_keras.cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(output.read_text())
    assert found["skipped"] == {}
    assert [row["format"] for row in found["rows"]] == FORMATS
    outputs = [row["output"] for row in found["rows"]]
    assert outputs == ["uint8 64x96"] + 6 * ["uint8 1x64x96"]
    assert "Recommended within 1e+06 ms: untrained" in done.stdout
    assert all(row["threads"] == 1 and row["runtime"] for row in found["rows"])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="Needs /proc to find processes.")
@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("seconds", [0.0, 8.0], ids=["starting", "exporting"])
def test_a_signal_leaves_no_process(tmp_path, number, status, seconds):
    pytest.importorskip("tf2onnx")
    command = ["benchmark", "--preset", "eseg_m", "--format", "onnx", "--image_size", "64", "96"]
    process = subprocess.Popen(
        [sys.executable, "-m", "eseg_keras.cli.main", *command, "--cache_dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 120
    while not (children := _exporters(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(seconds)
    # A terminal sends SIGINT (Ctrl-C) to all processes; SIGTERM goes to the parent only.
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert children and process.returncode == status
    assert err.count("\n") == 1 and err.startswith("eseg benchmark: ") and out == ""
    assert not any(map(_is_running, children))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="Needs /proc to find processes.")
def test_a_killed_benchmark_leaves_no_process(tmp_path):
    pytest.importorskip("tf2onnx")
    command = ["benchmark", "--preset", "eseg_m", "--format", "onnx", "--image_size", "64", "96"]
    process = subprocess.Popen([sys.executable, "-m", "eseg_keras.cli.main", *command])
    deadline = time.monotonic() + 120
    while not (children := _exporters(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60  # The child may still be importing packages.
    while any(map(_is_running, children)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert children and not any(map(_is_running, children))


def _exporters(parent):
    """Return the ids of the processes that a process has spawned with `multiprocessing`."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            is_spawned = b"spawn_main" in (path / "cmdline").read_bytes()
            if int(fields[1]) == parent and is_spawned:
                found.append(int(path.name))
    return found


def _is_running(process):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
