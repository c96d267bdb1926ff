import ast

import pytest

from eseg_keras.data.scenes import CLASS_NAMES
from eseg_keras.training import Experiment, experiment_names, load_experiment
from eseg_keras.training.experiment import experiments_dir


def test_names_are_the_files():
    names = experiment_names()
    assert {"smoke/street_scenes", "folders/eseg_lite_s", "camvid/eseg_lite_s"} <= set(names)
    assert names == sorted(names)


@pytest.mark.parametrize("name", experiment_names())
def test_every_shipped_experiment_loads_and_says_what_to_expect(name):
    assert isinstance(load_experiment(name), Experiment)
    docstring = ast.get_docstring(ast.parse((experiments_dir() / f"{name}.py").read_text("utf-8")))
    for heading in (f"Command:  eseg train --experiment {name}", "Hardware:", "Time:", "Score:"):
        assert heading in docstring


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(ValueError, match="no experiment 'camvid/eseg_lite'.*camvid/eseg_lite_s"):
        load_experiment("camvid/eseg_lite")


def test_a_file_of_the_users_own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from eseg_keras.training import Experiment\n"
        "def get_experiment():\n"
        "    return Experiment(class_names=('a', 'b', 'c'), epochs=7)\n"
    )
    experiment = load_experiment(str(path))
    assert (experiment.num_classes, experiment.epochs) == (3, 7)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "must define a function get_experiment"),
        ("def get_experiment():\n    return {'epochs': 3}\n", "must return an .*Received: dict"),
    ],
)
def test_a_file_that_is_no_experiment(tmp_path, text, message):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_experiment(str(path))


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(ValueError, match="no experiment file"):
        load_experiment(str(tmp_path / "mine.py"))


def test_street_scenes_bring_their_classes():
    experiment = Experiment(data="street_scenes")
    assert experiment.class_names == CLASS_NAMES
    assert experiment.num_classes == len(experiment.palette) == len(CLASS_NAMES)


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": 0},
        {"batch_size": -1},
        {"image_size": (16, 512)},
        {"scale": (2.0, 0.5)},
        {"learning_rate": 0.0},
        {"momentum": 1.0},
        {"class_names": ("a", "b"), "num_classes": 3},
        {"data": "street_scenes", "num_classes": 3},
        {"data": "street_scenes", "class_weights": "balanced"},
    ],
)
def test_impossible_values_are_refused(values):
    with pytest.raises(ValueError, match="|".join(values)):
        Experiment(**values)


def test_unknown_values_are_refused():
    with pytest.raises(TypeError, match="weight_decays"):
        Experiment(weight_decays=1e-4)
