"""SIGTERM ends every command with one sentence, and leaves nothing that is half done."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from eseg_keras.cli.main import COMMANDS
from eseg_keras.street_scenes import CLASS_NAMES
from eseg_keras.training import Experiment
from eseg_keras.training.run_files import write_config, write_log

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="Needs Linux' /proc.")

SCRIPT = Path(__file__).with_name("stop_commands.py")
# These commands only print; they write no files.
PRINTING = ("experiments", "presets", "reproduce", "summary")
CLASSES = ("--set", f"num_classes={len(CLASS_NAMES)}")


def commands(folder, scenes, preset):
    """Return {name of a case: arguments of its command, without the path of the output}."""
    pairs = (scenes / "images", scenes / "annotations")
    folders = ("--images", pairs[0], "--masks", pairs[1])
    return {
        "finetune": (*pairs, "--preset", preset, "--output"),
        "train": ("--experiment", "smoke/street_scenes", "--model_dir"),
        "experiments": (),
        "compare": (folder / "run", folder / "run", "--output"),
        "reproduce": ("--table", 8),
        "evaluate": ("--preset", preset, *folders, "--output"),
        "evaluate files": ("--predictions", pairs[1], "--masks", pairs[1], *CLASSES, "--output"),
        "predict": (pairs[0], "--preset", preset, "--output"),
        "pseudo-label": (pairs[0], "--preset", preset, "--output"),
        "export": ("--preset", preset, "--format", "onnx", "--output"),
        "export tflite": ("--preset", preset, "--format", "tflite", "--output"),
        "export saved_model": ("--preset", preset, "--format", "saved_model", "--output"),
        "demo-page": ("--preset", preset, "--output"),
        "benchmark": ("--preset", preset, "--cache_dir"),
        "convert": ("labelme", folder / "labelme"),
        "data-check": (*folders, *CLASSES, "--output"),
        "summary": (preset,),
        "presets": (),
        "scenes": ("--output",),
    }


SUFFIXES = {"compare": ".png", "evaluate": ".json", "export": ".onnx", "export tflite": ".tflite"}
RESUMING = ("finetune", "train", "predict", "pseudo-label", "scenes")
SUFFIXES["evaluate files"] = ".csv"
ALL = list(commands(Path(), Path(), ""))
QUICK = ["compare", "evaluate files", "convert", "data-check", "scenes"]
# Benchmarks export in separate processes: test_benchmark.py tests how they stop.
SLOW = [name for name in ALL if name not in (*PRINTING, *QUICK, "benchmark")]


def run(cases, folder, scenes, preset):
    """Stop commands one by one; yield each case, its result and its files."""
    (folder / "labelme").mkdir()
    shape = {"label": "cat", "shape_type": "rectangle", "points": [[8, 8], [31, 31]]}
    content = {"imagePath": "a.png", "imageHeight": 48, "imageWidth": 64, "shapes": [shape]}
    (folder / "labelme" / "a.json").write_text(json.dumps(content))
    Image.new("RGB", (64, 48)).save(folder / "labelme" / "a.png")
    write_config(folder / "run", Experiment(data="street_scenes"), None)
    write_log(folder / "run" / "log.csv", [{"epoch": 0, "loss": 1.0, "val_mean_iou": 0.5}])
    outputs, described = [folder / "outputs" / f"{number}" for number in range(len(cases))], []
    for output, (name, moment) in zip(outputs, cases, strict=True):
        arguments = [name.partition(" ")[0], *commands(folder, scenes, preset)[name]]
        if name not in PRINTING:
            arguments.append(output / f"out{SUFFIXES.get(name, '')}")
        described.append({"arguments": list(map(str, arguments)), "moment": moment})
    (folder / "cases.json").write_text(json.dumps(described))
    command = [sys.executable, SCRIPT, folder / "cases.json", folder / "results.json"]
    subprocess.run(command, check=True, timeout=1800)
    results = json.loads((folder / "results.json").read_text())
    for case, output, result in zip(cases, outputs, results, strict=True):
        yield (*case, *result, sorted(path for path in output.rglob("*") if path.is_file()))


def test_every_command_has_a_case():
    assert {name.partition(" ")[0] for name in ALL} == set(COMMANDS)


@pytest.mark.parametrize(
    "cases",
    [
        [(name, "early") for name in ALL] + [(name, "middle") for name in QUICK],
        pytest.param([(name, "middle") for name in SLOW], marks=pytest.mark.slow),
    ],
    ids=["quick", "slow"],
)
def test_one_sentence_and_nothing_half_done(tmp_path, scenes, preset_for_processes, cases):
    stopped = run(cases, tmp_path, scenes, preset_for_processes)
    for name, moment, status, out, err, processes, files in stopped:
        assert (status, processes) == (143, []), (name, moment, status, out, err)
        said = [line for line in (out + err).splitlines() if "SIGTERM" in line]
        sentence = f"eseg {name.partition(' ')[0]}: stopped by SIGTERM"
        assert len(said) == 1 and said[0].startswith(sentence), (name, moment, out, err)
        assert "Traceback" not in err and "Exception ignored" not in err, (name, moment, err)
        # Some commands keep their finished files, in order to resume later.
        resumes = moment == "middle" and name in RESUMING
        assert resumes or not files, (name, moment, files)
        for path in files:
            assert not path.name.startswith(".eseg_"), (name, path)
            if path.suffix == ".png" and not path.is_symlink():
                Image.open(path).load()
            elif path.suffix == ".json":
                json.loads(path.read_text())
