"""Commands name a damaged file of an earlier command in one sentence."""

import json

import pytest
from PIL import Image

from eseg_keras.training import Experiment
from eseg_keras.training.run_files import read_log, write_config

DAMAGES = {
    "empty": b"",
    "torn": b'{"experiment": {"data": "str',
    "nul": bytes(100),
    "not utf-8": b'{"a": "\xff"}',
    "list": b"[1, 2]",
    "a number": b"7",
    "deep": b'{"a":' * 100_000,
    "huge number": b'{"num_images": ' + b"1" * 5000 + b"}",
    "no field": b"{}",
    "a directory": None,
}
METRICS = {"num_images": 1, "per_class_iou": {"a": 0.5}, "mean_iou": 0.5}
CONFIG = {"task": "segmentation", "experiment": {}, "found": {}, "data_dir": None}


def damage(path, content):
    if path.exists():
        path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(json.dumps(content))


def check_refused(outcome, path):
    status, _, err = outcome
    assert status == 2
    assert err.count("\n") == 1 and str(path) in err and "Traceback" not in err


def nested(depth):
    return json.loads("[" * depth + "]" * depth)


@pytest.mark.parametrize(
    "content",
    [
        *DAMAGES.values(),
        CONFIG | {"experiment": {"epochs": "many"}},
        CONFIG | {"experiment": {"class_names": 5}},
        CONFIG | {"experiment": {"preset": 5}},
        CONFIG | {"experiment": {"image_size": [64]}},
        CONFIG | {"experiment": {"augment": 1}},
        CONFIG | {"experiment": {"momentum": None}},
        CONFIG | {"experiment": {"class_map": {"a": 1}}},
        CONFIG | {"experiment": {"freeze": nested(900)}},
        CONFIG | {"experiment": {"num_classes": 0}},
        CONFIG | {"experiment": {"colour": 1}},
        CONFIG | {"experiment": 7},
        CONFIG | {"found": [1]},
        CONFIG | {"task": 1},
        CONFIG | {"data_dir": 1},
    ],
    ids=[*DAMAGES, *map(str, range(14))],
)
def test_config(eseg, tmp_path, content):
    path = tmp_path / "run" / "config.json"
    damage(path, content)
    check_refused(eseg("train", "--model_dir", path.parent), path)
    assert [file.name for file in path.parent.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    "content",
    [
        *DAMAGES.values(),
        METRICS | {"per_class_iou": {"a": "much"}},
        METRICS | {"per_class_iou": [0.5]},
        METRICS | {"per_class_accuracy": 0.5},
        METRICS | {"mean_iou": {"a": 1}},
        METRICS | {"mean_iou": 10**400},
        METRICS | {"categories": {"flat": [1]}},
        METRICS | {"num_images": "one"},
        METRICS | {"skipped": 3},
        METRICS | {"skipped": [3]},
    ],
    ids=[*DAMAGES, *map(str, range(9))],
)
def test_metrics(eseg, tmp_path, content):
    experiment = Experiment(data="street_scenes")
    write_config(tmp_path, experiment, None)
    damage(tmp_path / "metrics.json", content)
    check_refused(eseg("train", "--model_dir", tmp_path), tmp_path / "metrics.json")


def test_metrics_of_earlier_versions_and_absent_classes(eseg, tmp_path):
    write_config(tmp_path, Experiment(data="street_scenes"), None)
    scores = {"per_class_iou": {"a": None, "[/]": 0.5}, "per_class_accuracy": {"a": None}}
    damage(tmp_path / "metrics.json", METRICS | scores | {"skipped": ["a.png"]})
    status, out, _ = eseg("train", "--model_dir", tmp_path)
    assert status == 0 and "[/]" in out and "a.png" in out


@pytest.mark.parametrize(
    "content", [bytes(9), b"epoch,\xff\n", b"epoch,loss\n0,much\n", b"epoch\n1,2,3\n", None]
)
def test_log(tmp_path, content):
    damage(tmp_path / "log.csv", content)
    with pytest.raises(ValueError, match=rf"^{tmp_path}/log.csv is damaged: .* Remove it: the run"):
        read_log(tmp_path / "log.csv")


# tests/packaging/test_files.py tests other kinds of damage.
@pytest.mark.parametrize("kind", ["no field", "a directory"])
def test_settings_of_predictions(eseg, tmp_path, preset, kind):
    Image.new("RGB", (40, 36)).save(tmp_path / "a.png")
    path = tmp_path / "out" / "predictions.json"
    damage(path, DAMAGES[kind])
    check_refused(
        eseg("predict", tmp_path / "a.png", "--preset", preset, "--output", path.parent), path
    )


def test_the_list_of_predicted_files(eseg, tmp_path, preset):
    Image.new("RGB", (40, 36)).save(tmp_path / "a.png")
    path = tmp_path / "out" / "files.jsonl"
    command = ("predict", tmp_path / "a.png", "--preset", preset, "--output", path.parent)
    damage(path, None)
    check_refused(eseg(*command, "--no-overlay"), path)
    path.rmdir()
    assert eseg(*command, "--no-overlay")[0] == 0
    # The image that belongs to the damaged line is predicted again.
    damage(path, DAMAGES["nul"])
    status, out, _ = eseg(*command, "--no-overlay")
    assert status == 0 and "1 file predicted" in out


@pytest.mark.parametrize(
    "content",
    [
        *(content for name, content in DAMAGES.items() if name != "a directory"),
        b"def get_experiment(:",
        b"(" * 10_000,
        b"raise KeyError('a')",
        b"import nothing_of_this_name",
        b"def get_experiment(): return 1 / 0",
        b"def get_experiment(): return {}",
        b"from eseg_keras.training import *\nget_experiment = lambda: Experiment(epoch=1)",
        b"from eseg_keras.training import *\nget_experiment = lambda: Experiment(epochs=0)",
        None,
    ],
    ids=map(str, range(18)),
)
def test_experiment_files(eseg, tmp_path, content):
    path = tmp_path / "out" / "experiment.py"
    damage(path, content)
    check_refused(eseg("train", "--experiment", path, "--model_dir", tmp_path / "run"), path)
    # `eseg finetune` resumes from this file.
    check_refused(eseg("finetune", tmp_path, tmp_path, "--output", path.parent), path)
    assert {file.name for file in tmp_path.rglob("*")} <= {"out", "experiment.py"}
