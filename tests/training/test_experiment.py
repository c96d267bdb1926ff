import ast

import pytest

from eseg_keras.street_scenes import CLASS_NAMES
from eseg_keras.training import (
    ClassificationExperiment,
    Experiment,
    derive_experiment,
    experiment_names,
    load_experiment,
    override,
)
from eseg_keras.training.experiment_files import experiments_dir


def test_names_are_the_files():
    names = experiment_names()
    assert {"smoke/street_scenes", "folders/eseg_edge_s", "camvid/eseg_lite_s"} <= set(names)
    assert names == sorted(names)


@pytest.mark.parametrize("name", experiment_names())
def test_every_shipped_experiment_loads_and_says_what_to_expect(name):
    assert isinstance(load_experiment(name), Experiment | ClassificationExperiment)
    docstring = ast.get_docstring(ast.parse((experiments_dir() / f"{name}.py").read_text("utf-8")))
    for heading in (f"Command:  eseg train --experiment {name}", "Hardware:", "Time:", "Score:"):
        assert heading in docstring


def test_an_experiment_is_derived_from_another():
    experiment = derive_experiment("cityscapes/eseg_s", steps=None, epochs=3)
    assert (experiment.preset, experiment.steps, experiment.epochs) == ("eseg_s", None, 3)
    with pytest.raises(TypeError, match="decoder_width"):
        derive_experiment("cityscapes/eseg_s", decoder_width=3)
    with pytest.raises(ValueError, match="pretrains an encoder"):
        derive_experiment("imagenet/eseg_lite_s", epochs=3)


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


@pytest.mark.parametrize(
    "values, message",
    [
        ({"long_side": -5}, "long_side must be at least 32 pixels. Received: long_side=-5"),
        (
            {"data": "street_scenes", "long_side": 64},
            "long_side has no effect on street scenes.*image_size. Received: long_side=64",
        ),
        ({"seed": -1}, "seed must be at least 0"),
        ({"seed": 1 << 32}, r"seed must be below 2\*\*32"),
        ({"num_classes": 3, "class_weights": (1.0, 2.0)}, "class_weights must contain 3 numbers"),
        ({"data": "camvid", "class_map": {11: 255}}, "class_map requires data='folders'"),
        ({"data": "cityscapes", "val_split": "val"}, "val_split must be one of train, validation"),
        ({"data": "ade20k", "class_names": ("road",)}, "class_names of ade20k cannot be changed"),
        ({"loss": "dice", "class_weights": (1.0,)}, "does not support class_weights"),
        ({"loss": "ohem", "label_smoothing": 0.1}, "label_smoothing requires loss='cross_entropy'"),
        (
            {"batch_size": 6, "gradient_accumulation_steps": 4},
            "must be a multiple of gradient_accumulation_steps",
        ),
        ({"augment": False, "photometric_distortion": True}, "requires augment=True"),
        ({"augment": False, "camera_variation": True}, "camera_variation requires augment=True"),
        ({"weight_decay": -1.0}, "weight_decay must not be negative"),
        ({"ema_decay": 1.0}, "ema_decay must be from 0 to below 1"),
        ({"global_clipnorm": 0.0}, "global_clipnorm must be positive"),
        ({"ohem_min_kept": 2.0, "loss": "ohem"}, "min_kept"),
        ({"label_smoothing": 1.5}, "label_smoothing"),
        ({"loss": "hinge"}, "loss must be one of cross_entropy.*Received: loss='hinge'"),
        (
            {"class_names": ("a", "b", "a")},
            "class_names must be unique.*more than once: a$",
        ),
        ({"freeze": ("head", "encoder", "decoder")}, "freeze must be some, but not all"),
        ({"data": "photos"}, "data must be one of folders, street_scenes.*Received: data='photos'"),
    ],
)
def test_impossible_values_are_refused_before_any_file_is_opened(values, message):
    with pytest.raises(ValueError, match=message):
        Experiment(**values)


def test_the_length_that_is_asked_for_is_the_one_that_counts():
    experiment = Experiment(steps=1000)
    assert override(experiment, ["epochs=3"]).steps is None
    assert override(experiment, ["steps=5"]).steps == 5
