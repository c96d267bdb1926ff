"""Tests of `eseg compare`."""

import dataclasses

import pytest
from PIL import Image

from eseg_keras.training import Experiment
from eseg_keras.training.run_files import write_config, write_log

EXPERIMENT = Experiment(num_classes=2)


@pytest.fixture
def runs(tmp_path):
    """Four runs: two with different settings, two without a finished epoch."""
    changes = {"a": {}, "b": {"learning_rate": 0.5, "optimizer": "adamw"}, "new": {}}
    for name, values in changes.items():
        write_config(tmp_path / name, dataclasses.replace(EXPERIMENT, **values), None)
    # `eseg finetune` writes its run to a subfolder.
    write_config(tmp_path / "tuned" / "run", EXPERIMENT, None)
    scores = {"a": ["0.5", "0.625"], "b": ["0.75", ""]}
    for name, column in scores.items():
        rows = [
            {"epoch": epoch, "loss": 2.0 - epoch, "val_mean_iou": score}
            for epoch, score in enumerate(column)
        ]
        write_log(tmp_path / name / "log.csv", rows)
    return tmp_path


def test_scores_and_what_differs(eseg, runs):
    pytest.importorskip("matplotlib")
    status, out, _ = eseg(
        *("compare", *(runs / name for name in ("a", "b", "new", "tuned"))),
        *("--output", runs / "a.png"),
    )
    assert status == 0
    cells = [line.replace("│", " ").split() for line in out.splitlines()]
    rows = {row[0].rpartition("/")[2]: row[1:] for row in cells if row and "/" in row[0]}
    assert rows["a"] == ["2", "62.50", "62.50", "sgd", "0.08"]
    assert rows["b"] == ["2", "75.00", "75.00", "adamw", "0.5"]
    assert rows["run"] == rows["new"] == ["0", "-", "-", "sgd", "0.08"]
    assert "optimizer" in out and "learning_rate" in out and "momentum" not in out
    with Image.open(runs / "a.png") as image:
        assert image.width > 500


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "contains no run"),
        (["a", "--output", "a.txt"], "must end in .png, .pdf or .svg"),
    ],
)
def test_mistakes(eseg, runs, monkeypatch, arguments, message):
    monkeypatch.chdir(runs)
    status, _, err = eseg("compare", *arguments)
    assert status == 2 and message in err
