"""Every experiment is built and trained for two steps, on tiny data of its own kind."""

import csv
import json
import math

import pytest
import tensorflow as tf

from eseg_keras.training import experiment_names, load_experiment, override, train

SMALL = [
    "load_weights=false",  # ImageNet's are not at hand.
    "image_size=64,96",
    "val_size=64,96",
    "batch_size=2",
    "steps=2",
    "warmup_steps=1",
    "train_examples=4",
    "val_examples=2",
]
# The others have some hundred layers.
FAST = ("eseg_lite_s", "eseg_lite_m")


@pytest.fixture
def eagerly():
    """Without a graph: for two steps, making it takes four times as long as they do.

    What is compiled is tested with the model and with the training script.
    """
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def case(name):
    is_fast = load_experiment(name).preset in FAST
    return pytest.param(name, marks=() if is_fast else pytest.mark.slow)


@pytest.mark.filterwarnings("ignore:.*does not apply to tf.data functions:UserWarning")
@pytest.mark.parametrize("name", [case(name) for name in experiment_names()])
def test_two_steps(tmp_path, tiny_data, eagerly, name):
    experiment = override(load_experiment(name), SMALL)
    metrics = train(experiment, tmp_path / "run", tiny_data(name))
    assert metrics["steps"] == 2
    assert metrics["num_images"] == 2
    assert list(metrics["per_class_iou"]) == list(experiment.class_names)
    (row,) = csv.DictReader((tmp_path / "run" / "log.csv").open())
    assert math.isfinite(float(row["loss"])) and math.isfinite(float(row["val_loss"]))
    # The cosine ends at the last step, which is the second here.
    assert float(row["learning_rate"]) == pytest.approx(0, abs=1e-8)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["experiment"]["preset"] == experiment.preset
    assert (tmp_path / "run" / "preset").is_dir()
