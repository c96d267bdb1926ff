"""Building a model from a preset: a name, a directory or a repository."""

import dataclasses
import difflib
import inspect
import logging
import os
import pathlib

from eseg_keras.models.encoder_table import APPLICATIONS
from eseg_keras.models.encoders import encoder_names
from eseg_keras.models.eseg_spec import SPECS
from eseg_keras.optional import require
from eseg_keras.presets.catalog import PRESETS
from eseg_keras.presets.files import (
    CONFIG_FILE,
    METADATA_FILE,
    PREPROCESSOR_FILE,
    PresetError,
    checked_weights,
    read_json,
)
from eseg_keras.presets.weights_file import WeightsMismatchError, read_weights

_log = logging.getLogger("eseg_keras")
_announced = set()

# What can change without touching the weights; the rest of the constructor is the architecture.
_FREE_ARGUMENTS = frozenset(
    ("image_shape", "ignore_label", "class_names", "palette", "frozen", "dtype", "name")
)


def from_preset(
    cls, preset: str | os.PathLike, num_classes: int | None, load_weights: bool, overrides: dict
):
    """Build a model from a preset; see `ESeg.from_preset`.

    Args:
        cls: The model class.
        preset: Name, directory or `"hf://user/repository"`.
        num_classes: Number of classes, or `None` for the preset's.
        load_weights: Whether to load weights.
        overrides: Constructor arguments to change.

    Returns:
        The model.

    Raises:
        ValueError: For an unknown name or argument, or damaged files.
        FileNotFoundError: If a file is missing.
    """
    known = set(inspect.signature(cls.__init__).parameters) - {"self", "num_classes"}
    if unknown := sorted(set(overrides) - known):
        near = difflib.get_close_matches(unknown[0], sorted(known), n=3) or sorted(known)
        raise ValueError(
            f"Unknown arguments {unknown}. Did you mean one of {near}? Presets take the arguments "
            f"of {cls.__name__}."
        )
    preset = os.fspath(preset)
    if preset in SPECS:
        return _bare(cls, preset, num_classes, load_weights, overrides)
    return _trained(cls, _directory(preset), num_classes, load_weights, overrides)


def _bare(cls, name, num_classes, load_weights, overrides):
    config = {**dataclasses.asdict(SPECS[name]), "name": name, **overrides}
    if load_weights and config["encoder"] in APPLICATIONS:
        config.setdefault("encoder_weights", "imagenet")
    model = cls(num_classes=19 if num_classes is None else num_classes, **config)
    if load_weights and name not in _announced:
        _announced.add(name)
        encoder = "ImageNet" if config.get("encoder_weights") == "imagenet" else "random"
        if config.get("encoder_weights") not in (None, "imagenet"):
            encoder = str(config["encoder_weights"])
        _log.warning(
            "%s is an architecture: %s encoder weights, random decoder, %d classes. Train it, or "
            "load a trained preset.", name, encoder, model.num_classes,
        )  # fmt: skip
    return model


def _directory(preset: str) -> pathlib.Path:
    if preset.startswith("hf://"):
        hub = require("huggingface_hub", extra="hub")
        return pathlib.Path(hub.snapshot_download(preset.removeprefix("hf://")))
    if preset in PRESETS:
        return pathlib.Path(__file__).parent / PRESETS[preset]["path"]
    path = pathlib.Path(preset)
    if path.is_dir():
        return path
    if len(path.parts) > 1:
        raise FileNotFoundError(f"There is no preset directory at {path}.")
    near = difflib.get_close_matches(preset, PRESETS, n=3) or sorted(PRESETS)
    raise ValueError(
        f"Unknown preset {preset!r}. Did you mean one of {near}? A directory written by "
        "save_to_preset and 'hf://user/repository' work as well."
    )


def _trained(cls, directory, num_classes, load_weights, overrides):
    if load_weights and (structural := sorted(set(overrides) - _FREE_ARGUMENTS)):
        raise ValueError(
            f"{structural} would change the network that the weights in {directory} were trained "
            "for. Leave them out, or pass load_weights=False."
        )
    config = _read_config(cls, directory)
    preset_classes = config.pop("num_classes")
    preprocessor = read_json(directory / PREPROCESSOR_FILE)
    labels = {"ignore_label": preprocessor.get("ignore_label", 255)}
    names = {key: preprocessor.get(key) for key in ("class_names", "palette")}
    config = {"name": directory.name, **config, **labels}
    if not load_weights or num_classes in (None, preset_classes):
        if num_classes in (None, preset_classes):
            config |= names
        model = cls(num_classes=num_classes or preset_classes, **{**config, **overrides})
        if load_weights:
            _load_weights(model, directory)
        return model
    # Other classes: all but the classifier comes from the preset.
    source = cls(num_classes=preset_classes, **config)
    _load_weights(source, directory)
    model = cls(num_classes=num_classes, **{**config, **overrides})
    model.encoder.set_weights(source.encoder.get_weights())
    model.decoder.set_weights(source.decoder.get_weights())
    for layer in source.head.layers:
        if layer.weights and layer.name != "classifier":
            model.head.get_layer(layer.name).set_weights(layer.get_weights())
    return model


def _read_config(cls, directory: pathlib.Path) -> dict:
    """The constructor arguments in a directory, of plain types and known names only."""
    path = directory / CONFIG_FILE
    content = read_json(path)
    config = content.get("config")
    if content.get("class_name") != "ESeg" or not isinstance(config, dict):
        raise PresetError(
            f"{path} is not of an ESeg. Expected class_name 'ESeg' and a config, found class_name "
            f"{content.get('class_name')!r}."
        )
    known = set(inspect.signature(cls.__init__).parameters) - {"self"}
    if unknown := sorted(set(config) - known):
        raise PresetError(
            f"{path} has unknown arguments {unknown}. It may be of a newer eseg-keras: "
            "pip install --upgrade eseg-keras."
        )
    if config.get("encoder") not in encoder_names() or not isinstance(config["num_classes"], int):
        raise PresetError(
            f"{path} names an unknown encoder. Expected one of the encoders of eseg-keras, found "
            f"{config.get('encoder')!r}. Presets hold no code; models with other encoders are "
            "saved as .keras files."
        )
    if nested := sorted(key for key, value in config.items() if isinstance(value, dict)):
        raise PresetError(f"{path} holds objects in {nested}; expected numbers, names and lists.")
    return config


def _load_weights(model, directory: pathlib.Path):
    metadata = read_json(directory / METADATA_FILE)
    path = checked_weights(directory, metadata)
    expected = metadata.get("parameter_count")
    remedy = "Copy or download the preset again, or build without it: load_weights=False."
    if expected != model.count_params():
        raise PresetError(
            f"{path} does not fit {directory / CONFIG_FILE}: expected {model.count_params()} "
            f"parameters, found {expected}. {remedy}"
        )
    try:
        read_weights(model, path)
    except (OSError, WeightsMismatchError) as error:
        raise PresetError(f"{path} does not fit the network: {error}. {remedy}") from error
