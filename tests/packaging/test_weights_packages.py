"""The packages of weights in weights/: their metadata and model cards."""

import csv
import json
import re
import runpy
from pathlib import Path

import pytest

from eseg_keras.presets.files import checked_weights

WEIGHTS = Path(__file__).parents[2] / "weights"
PACKAGES = sorted(path.parent for path in WEIGHTS.glob("*/setup.py"))
PRESETS = sorted(path.parent for path in WEIGHTS.glob("*/*/*/metadata.json"))


@pytest.fixture
def declared(monkeypatch):
    """Return a function (package folder) -> arguments of its `setup` call."""

    def declared(package):
        arguments = {}
        monkeypatch.setattr("setuptools.setup", lambda **given: arguments.update(given))
        runpy.run_path(str(package / "setup.py"))
        return arguments

    return declared


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_preset_is_an_entry_point(package, declared):
    arguments = declared(package)
    found = dict(entry.split(" = ") for entry in arguments["entry_points"]["eseg_keras.presets"])
    assert set(found) == {path.name for path in PRESETS if package in path.parents}
    assert set(found.values()) <= set(arguments["packages"])
    assert (package / arguments["license_files"][0]).is_file()
    assert arguments["license"] != "Apache-2.0"


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.name)
def test_a_preset_is_whole_and_says_its_licence(preset):
    metadata = json.loads((preset / "metadata.json").read_text())
    checked_weights(preset, metadata)
    assert "not for commercial use" in metadata["notice"]
    rows = list(csv.DictReader((preset / "log.csv").open()))
    assert float(rows[-1]["val_mean_iou"]) > 0.5


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.name)
def test_the_card_has_the_scores(preset):
    card = (preset / "README.md").read_text()
    with (preset / "scores.csv").open() as file:
        rows = list(csv.reader(file))
    for row in rows:
        assert f"| {' | '.join(row)} |" in card
    scores = {row[0]: float(row[1]) for row in rows[1:]}
    for name, score in scores.items():
        assert score == pytest.approx(scores["Keras"], abs=0.5 if "int8" in name else 0.1)
    # The score in the text equals the score in the table.
    score = re.search(r"mean IoU (\d+\.(\d+))", card)
    assert score[1] == f"{scores['Keras']:.{len(score[2])}f}"
