"""How the command line starts and ends, tested in separate processes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

from eseg_keras import street_scenes
from eseg_keras.cli import main

HEAVY = ("keras", "tensorflow", "jax", "torch")
# As in a user's terminal: no variable that sets TensorFlow's log level.
ENVIRONMENT = {name: text for name, text in os.environ.items() if "LOG_LEVEL" not in name}
LIGHT = [["--help"], ["--version"], ["presets"], ["experiments"]]


def test_it_starts_without_keras():
    """All commands run in one process; the first that imports too much is reported."""
    commands = [*LIGHT, *([name, "--help"] for name in main.COMMANDS)]
    code = f"""
import contextlib, io, json, sys
from eseg_keras.cli.main import main
for arguments in {commands}:
    sys.argv = ["eseg", *arguments]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main()
        except SystemExit as exit:
            status = exit.code
    imported = [name for name in {HEAVY} if name in sys.modules]
    print(json.dumps([arguments, status, imported, out.getvalue(), err.getvalue()]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [arguments for arguments, *_ in results] == commands
    for arguments, status, imported, out, err in results:
        assert (status or 0, imported, err) == (0, [], ""), arguments
        assert out and "helpfull" not in out, arguments


def eseg(*arguments):
    command = [sys.executable, "-m", "eseg_keras.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)


def test_the_terminal_is_clean():
    done = eseg("summary", "eseg_lite_s", "--image_size", "64", "64")
    assert (done.returncode, done.stderr) == (0, "")


def test_verbose_shows_tensorflow():
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        pytest.skip("Keras imports another backend.")
    done = eseg("summary", "eseg_lite_s", "--image_size", "64", "64", "--verbose")
    assert done.returncode == 0
    assert "cpu_feature_guard" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_terminal_is_clean_after_an_export(precision, tmp_path):
    output = tmp_path / "network.tflite"
    for i in range(8):
        image, _ = street_scenes.render_scene(i, "validation", (64, 64))
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    network = ["--preset", "eseg_lite_s_streets", "--image_size", 64, 64]
    options = ["--format", "tflite", "--precision", precision, "--output", output]
    if precision == "int8":
        options += ["--calibration_images", tmp_path]
    done = eseg("export", *network, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert output.is_file()


def test_an_import_that_fails_shows_what_was_hidden(tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "import os\nos.write(2, b'no such driver\\n')\nraise ImportError('broken')\n"
    )
    code = (
        "from eseg_keras.cli.main import quiet_tensorflow\n"
        "quiet_tensorflow()\n"
        "try:\n    import tensorflow\nexcept ImportError as error:\n    print(error)\n"
    )
    path = os.pathsep.join([str(tmp_path), os.getcwd(), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, "PYTHONPATH": path},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "broken\n", "no such driver\n")


@pytest.mark.parametrize(
    "number, status, sentence",
    [
        (signal.SIGTERM, 143, "eseg scenes: stopped by SIGTERM\n"),
        (signal.SIGINT, 130, "eseg scenes: interrupted\n"),
    ],
)
def test_a_signal_ends_it_with_one_sentence(tmp_path, number, status, sentence):
    command = [sys.executable, "-m", "eseg_keras.cli.main", "scenes", "--output", tmp_path / "out"]
    process = subprocess.Popen(
        [*map(str, command), "--num_examples", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Background jobs of a shell, and their child processes, ignore SIGINT: restore the default.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/images/*.png")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (status, "", sentence)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_before_the_command_ends_it_with_one_sentence(name):
    code = (
        "import os, signal, sys\n"
        "from eseg_keras.cli import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"main._parse = lambda argv: os.kill(os.getpid(), signal.{name})\n"
        "sys.argv = ['eseg', 'presets']\n"
        "main.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said = {"SIGTERM": (143, "eseg: stopped by SIGTERM\n"), "SIGINT": (130, "eseg: interrupted\n")}
    assert (done.returncode, done.stderr) == said[name]
