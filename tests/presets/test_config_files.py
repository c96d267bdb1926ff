"""The JSON files of a preset: every field has one type, and every error names its file."""

import json
import shutil

import pytest
import tensorflow as tf

from eseg_keras import ESeg
from eseg_keras.presets import loader
from eseg_keras.presets.files import PresetError


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    directory = tmp_path_factory.mktemp("presets") / "tiny"
    ESeg(
        "fused_efficientnet_thin",
        num_classes=3,
        min_level=3,
        max_level=5,
        decoder_channels=8,
        decoder_repeats=1,
        class_names=("a", "b", "c"),
        palette=((0, 0, 0), (1, 1, 1), (2, 2, 2)),
    ).save_to_preset(directory)
    return directory


@pytest.fixture
def directory(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "tiny")


def edit(path, change):
    content = json.loads(path.read_text())
    change(content.get("config", content))
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("encoder", ["fused_efficientnet_s"], "encoder must be one of the encoders"),
        ("num_classes", "3", "num_classes must be a whole number"),
        ("num_classes", True, "num_classes must be a whole number"),
        ("num_classes", 300, "from 1 to 255"),
        ("decoder", 3, "decoder must be a name"),
        ("min_level", "3", "min_level must be a whole number"),
        ("min_level", 9, "min_level"),
        ("max_level", None, "max_level must be a whole number"),
        ("decoder_channels", -3, "decoder_channels must be a whole number"),
        ("decoder_repeats", 1.5, "decoder_repeats must be a whole number"),
        ("activation", "nope", "nope"),
        ("activation", [{"class_name": "function"}], "activation must be a name"),
        ("fusion", {"class_name": "function"}, "fusion must be a name"),
        ("image_shape", [None, None], "image_shape must be"),
        ("image_shape", "abc", "image_shape must be"),
        ("folded", 1, "folded must be true or false"),
        ("frozen", 3, "frozen must be a list of names"),
        ("frozen", ["backbone"], "backbone"),
        ("frozen", ["head"] * 100_000, "frozen must be a list of names"),
        ("fusion", "softmax" * 1000, "fusion must be a name"),
        # Arguments of the constructor that a preset may not contain.
        ("encoder_weights", "/somewhere/else.weights.h5", "encoder_weights"),
        ("encoder_weights", None, "encoder_weights"),
        ("dtype", {"class_name": "DTypePolicy"}, "dtype"),
        ("name", {"class_name": "str"}, "name"),
    ],
)
def test_config_fields(directory, field, value, message):
    edit(directory / "config.json", lambda config: config.update({field: value}))
    for load_weights in (True, False):
        with pytest.raises(PresetError, match=message) as caught:
            ESeg.from_preset(directory, load_weights=load_weights)
        assert str(directory / "config.json") in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"decoder_repeats": 1_000_000},
        {"decoder_channels": 10**12},
        {"max_level": 10**6},
        {"image_shape": [None, None, 10**9]},
        {"image_shape": [10**9, 32, 3]},
        {"num_classes": 10**9},
        # Each value is within its limit, but the network is too large.
        {"decoder_channels": 2048, "decoder_repeats": 64, "max_level": 12},
    ],
    ids=str,
)
def test_sizes_are_refused_before_anything_is_built(directory, fields, monkeypatch):
    edit(directory / "config.json", lambda config: config.update(fields))
    monkeypatch.setattr(loader, "_build", None)
    for load_weights in (True, False):
        with pytest.raises(PresetError, match="config.json (is not valid|does not fit)"):
            ESeg.from_preset(directory, load_weights=load_weights)


def test_parameters_are_counted_before_anything_is_built(directory, monkeypatch):
    large = {"decoder_channels": 1024, "decoder_repeats": 8}  # At least 33 million parameters.
    edit(directory / "config.json", lambda config: config.update(large))
    monkeypatch.setattr(loader, "_build", None)
    with pytest.raises(PresetError, match="at least 33554432 parameters, found parameter_count="):
        ESeg.from_preset(directory)
    # A changed parameter count does not match the size of the weights file.
    edit(directory / "metadata.json", lambda content: content.update(parameter_count=40_000_000))
    with pytest.raises(PresetError, match=r"=40000000 and weights of \d+ bytes"):
        ESeg.from_preset(directory)
    edit(directory / "metadata.json", lambda content: content.update(parameter_count="many"))
    with pytest.raises(PresetError, match="parameter_count='many'"):
        ESeg.from_preset(directory)


def test_messages_stay_short(directory):
    edit(directory / "config.json", lambda config: config.update(frozen=[1] * 100_000))
    with pytest.raises(PresetError) as caught:
        ESeg.from_preset(directory)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("field", ["encoder", "num_classes"])
def test_config_without_what_has_no_default(directory, field):
    edit(directory / "config.json", lambda config: config.pop(field))
    with pytest.raises(PresetError, match=f"config.json has no .*{field}"):
        ESeg.from_preset(directory)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("ignore_label", None, "ignore_label must be a whole number"),
        ("ignore_label", "255", "ignore_label must be a whole number"),
        ("ignore_label", 1, "ignore_label"),
        ("ignore_label", 10**30, "from -255 to 255"),
        ("class_names", "abc", "class_names must be null or a list"),
        ("class_names", ["a", "b", 3], "class_names must be null or a list"),
        ("class_names", ["a"], "class_names"),
        ("palette", [1, 2, 3], "palette must be null or a list"),
        ("palette", [[0, 0, 0], [1, 1, 1], [2, 2, 256]], "palette must be null or a list"),
        ("image_range", [0, 1], "image_range must be"),
        ("color_space", "BGR", "color_space must be"),
        ("mean", [0, 0, 0], "mean"),
    ],
)
def test_preprocessor_fields(directory, field, value, message):
    edit(directory / "preprocessor.json", lambda content: content.update({field: value}))
    with pytest.raises(PresetError, match=message) as caught:
        ESeg.from_preset(directory)
    assert "preprocessor.json" in str(caught.value) and str(directory) in str(caught.value)


def test_what_is_missing_has_the_default(directory):
    edit(directory / "config.json", lambda config: [config.pop(k) for k in ("frozen", "folded")])
    edit(directory / "preprocessor.json", lambda content: content.clear())
    model = ESeg.from_preset(directory)
    assert model.ignore_label == 255 and model.class_names is None and model.frozen == ()


@pytest.mark.parametrize("name", ["my leaves", "streets (1)", "straße", "_private", "-x"])
def test_any_name_of_a_directory_is_a_name_for_tensorflow(name, directory):
    model = ESeg.from_preset(directory.rename(directory.with_name(name)))
    with tf.Graph().as_default(), tf.name_scope(model.name):
        pass


def test_deep_nesting_is_damage(directory):
    (directory / "config.json").write_text("[" * 100_000)
    with pytest.raises(PresetError, match="config.json is damaged"):
        ESeg.from_preset(directory)


def test_faults_of_the_caller_stay_the_caller_s(saved, directory):
    with pytest.raises(ValueError, match="class_names") as caught:
        ESeg.from_preset(saved, class_names=("a", "b"))
    assert not isinstance(caught.value, PresetError) and "config.json" not in str(caught.value)
    # If the files are invalid too, their error is raised first.
    edit(directory / "config.json", lambda config: config.update(activation="nope"))
    with pytest.raises(PresetError, match="nope"):
        ESeg.from_preset(directory, class_names=("a", "b"))
