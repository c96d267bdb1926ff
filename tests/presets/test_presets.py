"""Preset directories: content, round trips, invalid files."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import types

import h5py
import keras
import numpy as np
import pytest

from eseg_keras import ESeg
from eseg_keras.encoders import build_encoder, encoder_names, fused_efficientnet
from eseg_keras.presets import catalog
from eseg_keras.presets.catalog import ARCHITECTURES
from eseg_keras.presets.files import PresetError, fingerprint
from eseg_keras.presets.weights_file import named_variables

CLASS_NAMES = ("road", "sky", "car")
PALETTE = ((128, 64, 128), (70, 130, 180), (0, 0, 142))


def images():
    return np.random.default_rng(0).integers(0, 256, (1, 45, 61, 3), dtype="uint8")


@pytest.fixture(scope="module")
def model():
    return ESeg.from_preset(
        "eseg_lite_s",
        num_classes=3,
        load_weights=False,
        class_names=CLASS_NAMES,
        palette=PALETTE,
        ignore_label=200,
    )


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    directory = tmp_path_factory.mktemp("presets") / "streets"
    model.training_long_side = 640
    model.save_to_preset(directory)
    return directory


@pytest.fixture
def directory(saved, tmp_path):
    """A copy of the preset, for tests that damage it."""
    return shutil.copytree(saved, tmp_path / "streets")


def test_round_trip(model, saved):
    loaded = ESeg.from_preset(saved)
    np.testing.assert_array_equal(loaded(images()), model(images()))
    assert loaded.class_names == CLASS_NAMES and loaded.palette == PALETTE
    assert loaded.ignore_label == 200 and loaded.name == "streets"
    assert loaded.training_long_side == 640
    assert sorted(path.name for path in saved.iterdir()) == [
        "config.json",
        "metadata.json",
        "preprocessor.json",
        "weights.h5",
    ]


def test_half_precision_on_disk(model, tmp_path):
    model.save_to_preset(tmp_path / "half", weights_dtype="float16")
    model.save_to_preset(tmp_path / "full")
    half, full = ((tmp_path / d / "weights.h5").stat().st_size for d in ("half", "full"))
    assert half < 0.55 * full
    logits = model(images())
    loaded = ESeg.from_preset(tmp_path / "half")
    assert all(v.dtype == "float32" for v in loaded.trainable_variables)
    np.testing.assert_allclose(loaded(images()), logits, rtol=0, atol=5e-3 * np.abs(logits).max())
    with pytest.raises(ValueError, match="float16"):
        model.save_to_preset(tmp_path / "eighth", weights_dtype="int8")


def test_overrides(saved):
    fixed = ESeg.from_preset(saved, image_shape=(45, 61, 3), class_names=("a", "b", "c"))
    assert fixed.input_shape == (None, 45, 61, 3) and fixed.class_names == ("a", "b", "c")
    random = ESeg.from_preset(saved, load_weights=False)
    assert not np.array_equal(random(images()), ESeg.from_preset(saved)(images()))
    other = ESeg.from_preset(saved, num_classes=5)
    assert other.class_names is None and other.palette is None and other.ignore_label == 200
    assert other.training_long_side is None  # Its classifier is yet to be trained.
    mixed = ESeg.from_preset(saved, dtype="mixed_bfloat16")
    assert mixed.encoder.layers[-1].compute_dtype == "bfloat16"


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """A preset with frozen encoder and head; its ignore label is the first id after its classes."""
    directory = tmp_path_factory.mktemp("frozen") / "frozen"
    model = ESeg(
        "fused_efficientnet_thin",
        num_classes=3,
        min_level=3,
        max_level=5,
        decoder_channels=8,
        decoder_repeats=1,
        ignore_label=3,
        frozen=("encoder", "head"),
    )
    model.save_to_preset(directory)
    return directory


@pytest.mark.parametrize("load_weights", [True, False])
def test_a_new_classifier_trains(frozen, load_weights):
    preset = ESeg.from_preset(frozen)
    assert preset.frozen == ("encoder", "head") and preset.training_long_side is None
    swapped = ESeg.from_preset(frozen, num_classes=2, load_weights=load_weights)
    assert swapped.frozen == ("encoder",)
    classifier = swapped.head.get_layer("classifier")
    assert any(v is classifier.kernel for v in swapped.trainable_variables)
    chosen = ESeg.from_preset(frozen, num_classes=2, load_weights=load_weights, frozen=("head",))
    assert chosen.frozen == ("head",) and not chosen.head.trainable_variables


def test_ignore_label_among_the_new_classes(frozen):
    with pytest.raises(ValueError, match="label of the preset is 3.*5 classes.*ignore_label=255"):
        ESeg.from_preset(frozen, num_classes=5)
    assert ESeg.from_preset(frozen, num_classes=5, ignore_label=255).num_classes == 5


@pytest.mark.parametrize("load_weights", [True, False])
@pytest.mark.parametrize("num_classes", [0, 256, "3", 2.5])
def test_numbers_of_classes_that_do_not_fit(frozen, num_classes, load_weights):
    with pytest.raises(ValueError, match="`num_classes` must be") as caught:
        ESeg.from_preset(
            frozen, num_classes=num_classes, load_weights=load_weights, ignore_label=-1
        )
    assert not isinstance(caught.value, PresetError)


def test_other_channels_need_other_weights(frozen):
    with pytest.raises(ValueError, match="images of 3 channels.*load_weights=False") as caught:
        ESeg.from_preset(frozen, image_shape=(None, None, 4))
    assert "again" not in str(caught.value)
    model = ESeg.from_preset(frozen, image_shape=[None, None, 4], load_weights=False)
    assert model.image_shape == (None, None, 4)
    with pytest.raises(ValueError, match="3 channels.*load_weights=False"):
        ESeg.from_preset("eseg_s", image_shape=(None, None, 4))


def test_unknown_arguments_raise(saved):
    with pytest.raises(ValueError, match="image_shape"):
        ESeg.from_preset(saved, image_shap=(64, 64, 3))
    with pytest.raises(ValueError, match="decoder_channels.*load_weights=False"):
        ESeg.from_preset(saved, decoder_channels=32)


def test_unknown_names_give_the_nearest():
    with pytest.raises(ValueError, match="'eseg_lite_s'"):
        ESeg.from_preset("eseg_lites")
    with pytest.raises(FileNotFoundError, match="no preset directory"):
        ESeg.from_preset("runs/nothing/here")


def test_bare_name_says_what_it_is_once(caplog, monkeypatch):
    monkeypatch.setattr("eseg_keras.presets.loader._announced", set())
    for _ in range(2):
        ESeg.from_preset("eseg_lite_s", num_classes=2)
    assert [r.message for r in caplog.records if "random decoder" in r.message] == [
        "eseg_lite_s is an architecture: random encoder weights, random decoder, 2 classes. "
        "Its labels mean nothing before training: train it, or load a trained preset."
    ]


def test_existing_directory_is_not_overwritten(model, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        model.save_to_preset(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_failure_leaves_nothing_behind(model, tmp_path, monkeypatch):
    def full_disk(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr("eseg_keras.presets.writer.fingerprint", full_disk)
    with pytest.raises(OSError, match="the disk is full"):
        model.save_to_preset(tmp_path / "preset")
    assert list(tmp_path.iterdir()) == []


def test_working_directory_is_filled_in_place(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save_to_preset(".")
    # The working directory was not replaced by another directory.
    assert os.path.samefile(os.getcwd(), tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
    assert ESeg.from_preset(".").name == tmp_path.name


@pytest.mark.parametrize("is_there", [True, False])
def test_failure_at_the_last_step_leaves_nothing_behind(model, tmp_path, monkeypatch, is_there):
    directory = tmp_path / "preset"
    if is_there:
        directory.mkdir()
    replace = pathlib.Path.replace

    def busy(path, target):
        if path.name != "config.json":
            raise OSError("Device or resource busy")
        return replace(path, target)

    monkeypatch.setattr(pathlib.Path, "replace", busy)
    with pytest.raises(OSError, match="busy"):
        model.save_to_preset(directory)
    assert list(tmp_path.rglob("*")) == ([directory] if is_there else [])


def test_custom_encoder_is_for_keras_files(tmp_path):
    model = ESeg(fused_efficientnet(0.1, 0.1), num_classes=2, min_level=3, decoder_channels=8)
    with pytest.raises(ValueError, match=r"\.keras"):
        model.save_to_preset(tmp_path / "preset")


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1000])


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("file", "damage", "error", "message"),
    [
        ("weights.h5", truncate, ValueError, "truncated"),
        ("weights.h5", flip_a_byte, ValueError, "SHA-256"),
        ("weights.h5", lambda path: path.unlink(), FileNotFoundError, "missing"),
        ("config.json", truncate, ValueError, "damaged"),
        ("config.json", lambda path: path.unlink(), FileNotFoundError, "not a preset directory"),
        ("metadata.json", lambda p: edit(p, lambda c: c.pop("weights")), ValueError, "SHA-256"),
        (
            "config.json",
            lambda p: edit(p, lambda c: c["config"].update(decoder_channels=32)),
            ValueError,
            "does not fit",
        ),
        (
            "config.json",
            lambda p: edit(p, lambda c: c["config"].update(decoder_channels=100_000)),
            ValueError,
            "decoder_channels must be a whole number from 1 to 2048, found 100000",
        ),
        (
            "config.json",
            lambda p: edit(p, lambda c: c["config"].update(decoder_channels=2048)),
            ValueError,
            r"at least 50331648 parameters, found parameter_count=\d+",
        ),
        (
            "metadata.json",
            lambda p: edit(p, lambda c: c.update(parameter_count=None)),
            ValueError,
            "parameter_count=None",
        ),
        (
            "metadata.json",
            lambda p: edit(p, lambda c: c.update(training_long_side="64")),
            ValueError,
            "training_long_side must be a positive integer, found '64'",
        ),
        (
            "config.json",
            lambda p: edit(p, lambda c: c["config"].update(encoder="os.system")),
            ValueError,
            "one of the encoders of eseg-keras",
        ),
        (
            "config.json",
            lambda p: edit(p, lambda c: c["config"].update(encoder={"class_name": "Lambda"})),
            ValueError,
            "one of the encoders of eseg-keras",
        ),
        (
            "config.json",
            lambda p: edit(p, lambda c: c["config"].update(activation={"class_name": "f"})),
            ValueError,
            "activation must be a name",
        ),
        (
            "config.json",
            lambda p: edit(p, lambda c: c["config"].update(heads=2)),
            ValueError,
            "saved by a newer version",
        ),
        (
            "config.json",
            lambda p: edit(p, lambda c: c.update(class_name="UNet")),
            ValueError,
            "UNet",
        ),
    ],
)
def test_damage_gives_one_error_with_file_and_remedy(directory, file, damage, error, message):
    damage(directory / file)
    with pytest.raises(error, match=message) as caught:
        ESeg.from_preset(directory)
    assert str(directory) in str(caught.value)


def rename(file):
    file.move("decoder/P3_lateral/kernel", "decoder/P2_lateral/kernel")


def transpose(file):
    kernel = file["head/pointwise/kernel"][()]
    del file["head/pointwise/kernel"]
    file["head/pointwise/kernel"] = kernel.reshape(1, 1, 32, 128)


@pytest.mark.parametrize(
    ("change", "message"), [(rename, "P3_lateral"), (transpose, "head/pointwise/kernel has shape")]
)
def test_weights_of_another_network_are_refused(directory, change, message):
    """Weights with the same number of parameters but other names or shapes raise an error."""
    path = directory / "weights.h5"
    with h5py.File(path, "r+") as file:
        change(file)
    edit(directory / "metadata.json", lambda c: c.update(weights=fingerprint(path)))
    with pytest.raises(ValueError, match=message):
        ESeg.from_preset(directory)


def test_hub_repository(saved, monkeypatch):
    asked = []

    def snapshot_download(repository, allow_patterns):
        asked.append((repository, sorted(allow_patterns)))
        return str(saved)

    hub = types.SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert ESeg.from_preset("hf://user/repository").num_classes == 3
    assert asked == [("user/repository", sorted(path.name for path in saved.iterdir()))]


@pytest.mark.parametrize("error", [OSError("401 Unauthorized\nlong story"), KeyError("etag")])
def test_hub_failure_names_the_repository(monkeypatch, error):
    def snapshot_download(repository, allow_patterns):
        raise error

    hub = types.SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    with pytest.raises(PresetError, match="hf://user/private.*hf auth login") as caught:
        ESeg.from_preset("hf://user/private")
    assert "long story" not in str(caught.value)


def test_hub_without_its_package_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r'pip install "eseg-keras\[hub\]"'):
        ESeg.from_preset("hf://user/repository")


def test_catalogue_describes_every_preset():
    for name, preset in ESeg.presets.items():
        assert {"description", "architecture", "params", "macs", "num_classes"} <= set(preset), name
    with pytest.raises(TypeError):
        ESeg.presets["mine"] = {}


def test_catalogue_says_the_sizes():
    sizes = [name for name, preset in ESeg.presets.items() if preset["path"] is None]
    assert sizes == list(ARCHITECTURES)
    assert ESeg.presets["eseg_lite_m"]["description"] == (
        "Encoder fused_efficientnet_m, 2 x BiFPN of 80 channels, P3-P9."
    )


def test_catalogue_stands_alone():
    """The model class imports the catalogue, so the catalogue may not import models or Keras."""
    command = [sys.executable, "-I", "-S", catalog.__file__]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_missing_imagenet_file_says_load_weights_false(monkeypatch, tmp_path):
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))

    def offline(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("keras.src.applications.efficientnet.file_utils.get_file", offline)
    with pytest.raises(FileNotFoundError, match="efficientnetb1_notop.h5.*load_weights=False"):
        ESeg.from_preset("eseg_s")
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("name", ["convnext_tiny", "densenet121", "mobilenet_v3_small", "resnet50"])
def test_every_variable_has_a_name_of_its_own(name):
    assert name in encoder_names()
    names = []
    for _ in range(2):  # Names do not depend on models built before.
        encoder = build_encoder(name)
        assert len(named_variables(encoder)) == len(encoder.weights)
        names.append(list(named_variables(encoder)))
    assert names[0] == names[1]
