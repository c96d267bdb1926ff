"""Experiments are trained for two steps, on tiny data in their format and with a small network.

If several experiments become equal by these replacements, only one of them is trained.
"""

import csv
import json
import math

import numpy as np
import pytest
from PIL import Image

from eseg_keras import ESeg
from eseg_keras.encoders import build_encoder
from eseg_keras.presets.catalog import ARCHITECTURES
from eseg_keras.training import experiment_names, load_experiment, override, train

SMALL = [
    "load_weights=false",  # Tests download no ImageNet weights.
    "image_size=64,96",
    "eval_size=64,96",
    "batch_size=2",
    "steps=2",
    "warmup_steps=1",
    "train_examples=4",
    "val_examples=2",
    # Of the network, only the kind of decoder and the output stride are kept.
    "encoder=none",
    "init_from=none",
    "max_level=5",
    "decoder_channels=8",
    "decoder_repeats=1",
]
SMALL_CLASSIFIER = [
    "data=class_folders",
    "num_classes=none",
    "encoder=fused_efficientnet_thin",
    "image_size=64,64",
    "batch_size=2",
    "steps=2",
    "warmup_steps=1",
]


def distinct(names, changes):
    """Return the first name of each group of experiments that are equal after the changes."""
    groups = {}
    for name in names:
        groups.setdefault(repr(override(load_experiment(name), changes)), name)
    return list(groups.values())


PRETRAINING = [name for name in experiment_names() if name.startswith("imagenet/")]
SEGMENTATION = [name for name in experiment_names() if name not in PRETRAINING]


def test_each_has_a_network_of_the_catalogue():
    for name in SEGMENTATION:
        assert load_experiment(name).preset in ESeg.presets
    for name in PRETRAINING:
        assert load_experiment(name).encoder == ARCHITECTURES[name.partition("/")[2]].encoder


@pytest.fixture(scope="module")
def small(tmp_path_factory, small_eseg):
    """A small preset that replaces that of an experiment.

    The presets themselves are trained in tests/models/test_every_preset.py.
    """
    directory = tmp_path_factory.mktemp("presets") / "small"
    small_eseg().save_to_preset(directory)
    return directory


@pytest.mark.parametrize("name", distinct(SEGMENTATION, [*SMALL, "preset=small"]))
def test_two_steps(tmp_path, tiny_data, eagerly, small, name):
    experiment = override(load_experiment(name), [*SMALL, f"preset={small}"])
    if experiment.teacher is not None:
        names = experiment.class_names
        teacher = ESeg.from_preset(small, num_classes=len(names), class_names=names)
        teacher.save_to_preset(tmp_path / "teacher")
        experiment = override(experiment, [f"teacher={tmp_path / 'teacher'}"])
    metrics = train(experiment, tmp_path / "run", tiny_data(name))
    assert metrics["steps"] == 2
    assert metrics["num_images"] == 2
    assert list(metrics["per_class_iou"]) == list(experiment.class_names)
    (row,) = csv.DictReader((tmp_path / "run" / "log.csv").open())
    assert math.isfinite(float(row["loss"])) and math.isfinite(float(row["val_loss"]))
    # The cosine schedule ends at the last step, here the second.
    assert float(row["learning_rate"]) == pytest.approx(0, abs=1e-8)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["experiment"]["preset"] == experiment.preset
    assert (tmp_path / "run" / "preset").is_dir()


@pytest.mark.parametrize("name", distinct(PRETRAINING, SMALL_CLASSIFIER))
def test_two_steps_of_pretraining_and_on_from_there(tmp_path, eagerly, name):
    rng = np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 2)):
        for label in ("cat", "dog"):
            folder = tmp_path / split / label
            folder.mkdir(parents=True)
            for index in range(count):
                photo = rng.integers(0, 256, (50, 70, 3), dtype="uint8")
                Image.fromarray(photo).save(folder / f"{index}.jpg")
    experiment = override(load_experiment(name), SMALL_CLASSIFIER)
    metrics = train(experiment, tmp_path / "run", tmp_path)
    assert (metrics["steps"], metrics["num_images"]) == (2, 4)
    assert metrics["accuracy"] in (0, 0.25, 0.5, 0.75, 1)
    # Repeating the command does not train again.
    assert train(experiment, tmp_path / "run", tmp_path) == metrics

    path = str(tmp_path / "run" / "encoder.weights.h5")
    options = {"num_classes": 2, "min_level": 3, "max_level": 5, "decoder_channels": 8}
    model = ESeg(experiment.encoder, **options, encoder_weights=path)
    again = build_encoder(experiment.encoder, weights=path)
    for a, b in zip(model.encoder.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a, b)
