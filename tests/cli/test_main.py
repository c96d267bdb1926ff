import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from eseg_keras.cli import main
from eseg_keras.data.images.walker import find_images


def test_help_lists_the_commands(eseg):
    status, out, _ = eseg("--help")
    assert status == 0
    assert all(f"\n    {command}" in out for command in main.COMMANDS)


@pytest.mark.parametrize("command", main.COMMANDS)
def test_help_ends_with_an_example_that_parses(eseg, command):
    status, out, _ = eseg(command, "--help")
    assert status == 0
    example = main.COMMANDS[command].EXAMPLE
    assert out.endswith("example:\n" + "".join(f"  {line}\n" for line in example))
    for line in "\n".join(example).replace("\\\n", " ").split("\n"):
        assert main._parse(shlex.split(line)).command == command


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "eseg: the following arguments are required: COMMAND. See eseg --help\n"),
        (["frob"], "invalid choice: 'frob'"),
        (["train"], "required: --model_dir. See eseg train --help\n"),
        (["presets", "--colour"], "unrecognized arguments: --colour"),
        (["train", "--model", "runs/demo"], "required: --model_dir"),
        (["evaluate", "--preset", "a", "--model_dir", "b"], "not allowed with"),
        (["predict", "a.png", "--output", "b"], "one of the arguments --preset --model_dir"),
        (["summary", "eseg_s", "--image_size", "64", "wide"], "invalid int value: 'wide'"),
    ],
)
def test_mistyped_commands_get_one_sentence(eseg, arguments, message):
    status, out, err = eseg(*arguments)
    assert (status, out) == (2, "")
    assert message in err and err.count("\n") == 1


PLACE = "/proc/eseg"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="Needs /proc.")
@pytest.mark.parametrize(
    "command",
    [
        "train --experiment smoke/street_scenes --model_dir",
        "finetune {images} {images} --output",
        "predict {image} --preset eseg_lite_s_streets --output",
        "evaluate --preset eseg_lite_s_streets --images {images} --masks {images} --report",
        "evaluate --preset eseg_lite_s_streets --images {images} --masks {images} --output",
        "evaluate --preset eseg_lite_s_streets --images {images} --submission",
        "export --preset eseg_lite_s_streets --format saved_model --output",
        "export --preset eseg_lite_s_streets --format onnx --output",
        "demo-page --preset eseg_lite_s_streets --output",
        "benchmark --cache_dir",
        "benchmark --output",
        "data-check --images {images} --masks {images} --set num_classes=2 --output",
        "scenes --output",
        "pseudo-label {images} --preset eseg_lite_s_streets --output",
        "convert coco {images}",
        "compare {images} --output",
    ],
)
def test_a_place_that_cannot_be_written_is_found_before_the_work(
    eseg, tmp_path, command, monkeypatch
):
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    monkeypatch.setattr("eseg_keras.presets.loader.from_preset", None)
    command = command.format(image=tmp_path / "a.png", images=tmp_path)
    place = f"{PLACE}/a.json" if "output" in command and "evaluate" in command else PLACE
    place = f"{PLACE}/a.csv" if command == "benchmark --output" else place
    place = f"{PLACE}/a.png" if command.startswith("compare") else place
    status, _, err = eseg(*command.split(), place)
    assert status == 2
    assert err.splitlines()[-1].endswith("cannot be written: /proc: No such file or directory.")
    assert PLACE in err


def test_faults_of_the_program_keep_their_traceback(eseg, monkeypatch):
    # Raised by NumPy, not by the package.
    def fault(args):
        import numpy as np

        np.zeros(3).reshape(2, 2)

    monkeypatch.setattr(main.COMMANDS["presets"], "run", fault)
    with pytest.raises(ValueError, match="reshape"):
        eseg("presets")


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("{{node x}} OOM when allocating tensor with shape[8,512,512,64]")],
)
def test_exhausted_memory_names_the_remedy(eseg, monkeypatch, error):
    def fault(args):
        raise error

    monkeypatch.setattr(main.COMMANDS["presets"], "run", fault)
    status, out, err = eseg("presets")
    assert status == 2 and out == "" and err.count("\n") == 1
    assert err.startswith("eseg presets: Out of memory: lower the batch size, the image size")
    assert str(error) in err


def test_the_process_ends_with_the_status():
    command = [sys.executable, "-m", "eseg_keras.cli.main", "summary", "eseg_lite_x"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("eseg summary: Unknown preset 'eseg_lite_x'")


def test_what_was_skipped_in_many_folders_is_added_up(tmp_path, capsys):
    folders = [tmp_path / str(number) for number in range(6)]
    for number, folder in enumerate(folders):
        folder.mkdir()
        Image.new("RGB", (2, 2)).save(folder / "a.png")
        for name in ("a.gif", "b.txt")[: 1 + number % 2]:
            (folder / name).touch()
    with main._skipped_files_at_the_end():
        for folder in (*folders[:2], folders[1]):
            find_images(folder)
        assert capsys.readouterr().err == ""
    lines = f"{folders[0]}: skipped 1 .gif\n{folders[1]}: skipped 1 .gif, 1 .txt\n"
    assert capsys.readouterr().err == lines
    with main._skipped_files_at_the_end():
        for folder in folders:
            find_images(folder)
    assert capsys.readouterr().err == "6 folders: skipped 6 .gif, 3 .txt\n"
