"""The script of the ablations: its variants, one round of self-training, and its results."""

import csv
import dataclasses
import importlib.util
import json
import statistics
import sys

import numpy as np
import pytest
from PIL import Image

from eseg_keras.training import load_experiment
from eseg_keras.training.experiment_files import experiments_dir

spec = importlib.util.spec_from_file_location("ablations", experiments_dir() / "ablations.py")
ablations = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ablations)

# Changes to the base, which has P3-P9, a BiFPN, softmax fusion, OHEM and a moving average.
CHANGES = {
    "p3_p9_bifpn": {},
    "p3_p5_bifpn": {"max_level": 5},
    "p3_p9_fpn": {"decoder": "fpn"},
    "p3_p5_fpn": {"decoder": "fpn", "max_level": 5},
    "sum": {"fusion": "sum"},
    "no_ohem": {"loss": "cross_entropy"},
    "no_ema": {"ema_decay": None},
    "third": {"steps": 60 * 46},
    "self_training": {
        "steps": 60 * 46,
        "pseudo_images": "images/rest",
        "pseudo_masks": "pseudo_7/labels",
    },
}
TINY = (
    "image_size=64,96", "epochs=1", "batch_size=2", "warmup_steps=0", "max_level=5",
    "decoder_channels=8",
)  # fmt: skip


def run_of(variant, tmp_path, seed=7, changes=()):
    return ablations.Run(variant, seed, tmp_path / "runs", tmp_path / "data", changes)


def test_variants_differ_from_the_base_in_one_choice(tmp_path):
    assert list(ablations.VARIANTS) == list(CHANGES)
    base = load_experiment("camvid/eseg_lite_s")
    small = {"image_size": (180, 240), "long_side": 240, "epochs": 60, "val_every": 20, "seed": 7}
    for name, changes in CHANGES.items():
        experiment, _ = ablations.experiment_of(run_of(name, tmp_path))
        assert experiment == dataclasses.replace(base, **small, **changes)
    # If the caller sets `epochs`, `steps` has no value.
    experiment, _ = ablations.experiment_of(run_of("third", tmp_path, changes=("epochs=1",)))
    assert (experiment.epochs, experiment.steps) == (1, None)


@pytest.fixture
def data(tmp_path, tiny_data):
    """Return a data folder with seven training images; two of them will be the labelled third."""
    source = tiny_data("camvid")
    for kind in ("images", "annotations"):
        for split, count in (("train", 7), ("val", 2)):
            (tmp_path / "data" / kind / split).mkdir(parents=True)
            for index in range(count):
                (path,) = (source / kind / split).glob(f"{index % 2}.*")
                target = tmp_path / "data" / kind / split / f"{index}{path.suffix}"
                target.write_bytes(path.read_bytes())
    return tmp_path / "data"


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_a_third_is_labelled_by_hand_and_the_rest_by_its_network(data, tmp_path):
    folder = tmp_path / "runs" / "third"
    names = ablations.split_third(data, folder)
    files = {
        part: sorted(path.stem for path in (folder / part).iterdir())
        for part in ("images/train", "annotations/train", "images/rest", "images/val")
    }
    assert files["images/train"] == files["annotations/train"] == names and len(names) == 2
    assert sorted([*names, *files["images/rest"]]) == [str(index) for index in range(7)]
    assert files["images/val"] == ["0", "1"] and ablations.split_third(data, folder) == names

    runs = [run_of(name, tmp_path, changes=TINY) for name in ("third", "self_training")]
    for run in runs:
        ablations.train_run(run)
        assert ablations.is_finished(run)
        metrics = json.loads((run.model_dir / "metrics.json").read_text())
        # Two labelled images take one step; with as many pseudo-labelled images, two steps.
        assert metrics["steps"] == {"third": 1, "self_training": 2}[run.variant]
        assert ablations.time_of(run)["minutes"] > 0
    masks = sorted(path.stem for path in (folder / "pseudo_7" / "labels").iterdir())
    assert masks == files["images/rest"]
    options = json.loads((folder / "pseudo_7" / "manifest.json").read_text())["options"]
    assert (options["scales"], options["flip"], options["min_confidence"]) == (
        [0.5, 1, 2],
        True,
        0.5,
    )
    with pytest.raises(ValueError, match="contains a run with other values: epochs"):
        ablations.is_finished(run_of("third", tmp_path, changes=(*TINY, "epochs=2")))


def finish(run, mean_iou):
    """Write the files of a finished run."""
    run.model_dir.mkdir(parents=True)
    metrics = {"num_images": 2, "steps": 5, "mean_iou": mean_iou, "per_class_iou": {"sky": 0.75}}
    (run.model_dir / "metrics.json").write_text(json.dumps(metrics))
    time = {"minutes": 3.5, "cpu": "a processor", "cores": 2}
    (run.model_dir / "time.json").write_text(json.dumps(time))


def test_results_are_of_the_finished_runs(tmp_path):
    pytest.importorskip("matplotlib")
    scores = {"p3_p9_bifpn": [0.5, 0.52], "p3_p5_fpn": [0.48, 0.44], "third": [0.3]}
    for name, values in scores.items():
        for seed, value in enumerate(values):
            finish(run_of(name, tmp_path, seed), value)
    run_of("sum", tmp_path, 0).model_dir.mkdir()  # Not finished.
    output = tmp_path / "results"
    output.mkdir()
    before, after = "# Title\n\n", "\nThe end.\n"
    marked = f"{before}{ablations.BEGIN}\nNot run.\n{ablations.END}{after}"
    (output / "README.md").write_text(marked)
    for _ in range(2):  # The second call replaces the results of the first.
        ablations.write_results(tmp_path / "runs", output)
    with (output / "ablations.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = [(row["variant"], int(row["seed"]), float(row["mean_iou"])) for row in rows]
    assert found == [(n, seed, v) for n, values in scores.items() for seed, v in enumerate(values)]
    assert {(row["iou_sky"], row["minutes"], row["cores"]) for row in rows} == {
        ("0.75", "3.5", "2")
    }
    text = (output / "README.md").read_text()
    assert text.startswith(before) and text.endswith(after) and "Not run." not in text
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert lines[1:] == [
        ["P3-P9, BiFPN", "-", "51.0", "50.0 to 52.0 of 2", "-", "-"],
        ["P3-P5, FPN", "`decoder=fpn`, `max_level=5`", "46.0", "44.0 to 48.0 of 2", "-5.0",
         "-2.1, Table 2"],
        ["a third of the labels", "`steps=2760`", "30.0", "30.0 to 30.0 of 1", "-", "-"],
    ]  # fmt: skip
    with Image.open(output / "ablations.png") as image:
        assert np.asarray(image.convert("L")).std() > 5
    axes = ablations.plot(ablations.finished_rows(tmp_path / "runs")).axes[0]
    points = [line.get_xdata() for line in axes.lines if line.get_label() == "one run"]
    assert [list(np.round(p, 6)) for p in points] == [
        [round(100 * value, 6) for value in values] for values in scores.values()
    ]
    (claim,) = (line for line in axes.lines if line.get_marker() == "D")
    expected = 100 * statistics.mean(scores["p3_p9_bifpn"]) - 2.1
    assert claim.get_xdata() == pytest.approx([expected]) and claim.get_ydata() == [1]


def test_runs_with_a_row_are_not_repeated(data, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    output, trained = tmp_path / "results", []
    output.mkdir()
    (output / "ablations.csv").write_text(
        "variant,seed,steps,mean_iou\nsum,1,2760,0.25\nno_ema,0,2760,0.5\nthird,1,2760,0.125\n"
    )

    def train(runs, jobs):
        for run in runs:
            trained.append((run.variant, run.seed))
            finish(run, 0.75)
            yield run

    monkeypatch.setattr(ablations, "in_processes", train)
    monkeypatch.setattr(ablations, "is_finished", lambda run: run.model_dir.exists())
    call = ["ablations.py", str(tmp_path / "runs"), "--data_dir", str(data)]
    call += ["--output", str(output), "--seeds", "0", "1", "--variants", "sum", "no_ema"]
    monkeypatch.setattr(sys, "argv", call)
    ablations.main()
    assert trained == [("sum", 0), ("no_ema", 1)] and "2 of 4 runs" in capsys.readouterr().out
    # The teacher of self_training has a row, but its weights are missing.
    (tmp_path / "runs" / "sum_0").rename(tmp_path / "removed")
    trained.clear()
    monkeypatch.setattr(sys, "argv", [*call[:-5], "1", "--variants", "sum", "self_training"])
    ablations.main()
    assert trained == [("third", 1), ("self_training", 1)]
    with (output / "ablations.csv").open() as file:
        rows = [(row["variant"], row["seed"], row["mean_iou"]) for row in csv.DictReader(file)]
    assert rows == [
        ("sum", "0", "0.75"), ("sum", "1", "0.25"), ("no_ema", "0", "0.5"), ("no_ema", "1", "0.75"),
        ("third", "1", "0.75"), ("self_training", "1", "0.75"),
    ]  # fmt: skip


@pytest.mark.parametrize("row", ["other,1,2760,0.25", "sum,first,2760,0.25", "sum"])
def test_rows_of_no_run_are_refused(row, tmp_path):
    (tmp_path / "ablations.csv").write_text(f"variant,seed,steps,mean_iou\nsum,0,5,1\n{row}\n")
    with pytest.raises(ValueError, match=r"ablations\.csv: row 2 must have .* Remove the row"):
        ablations.recorded_rows(tmp_path)


def test_bad_arguments(data, tmp_path, monkeypatch, capsys):
    call = ["ablations.py", str(tmp_path / "runs"), "--data_dir"]
    for arguments, message in (
        ([str(data), "--set", "epochs=1"], "--set changes the results: pass --output"),
        ([str(tmp_path)], f"no folder {tmp_path / 'images' / 'train'}"),
        ([str(data), "--jobs", "0"], "--jobs must be at least 1"),
    ):
        monkeypatch.setattr(sys, "argv", [*call, *arguments])
        with pytest.raises(SystemExit) as caught:
            ablations.main()
        assert caught.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_the_third_of_camvid_is_listed():
    names = (experiments_dir() / "ablations_third.txt").read_text().split()
    assert len(set(names)) == len(names) == 367 // 3
