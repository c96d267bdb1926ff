"""Building models from presets."""

import difflib
import inspect
import logging
import os
import pathlib

from eseg_keras.decoders import DECODERS
from eseg_keras.encoders.builder import has_imagenet_weights
from eseg_keras.presets.catalog import ARCHITECTURES
from eseg_keras.presets.config_files import read_constructor_arguments
from eseg_keras.presets.files import (
    CONFIG_FILE,
    METADATA_FILE,
    PREPROCESSOR_FILE,
    TRAINING_LONG_SIDE,
    WEIGHTS_FILE,
    PresetError,
    checked_weights,
    read_preset_json,
)
from eseg_keras.presets.locations import preset_directory
from eseg_keras.presets.weights_file import WeightsMismatchError, read_weights

_log = logging.getLogger("eseg_keras")
_announced = set()

# Presets beyond these limits are damaged: the paper's largest network has 70 million parameters,
# and weights are stored in at least 16 bits.
_MOST_PARAMETERS = 1 << 28
_FEWEST_BYTES = 2

# Arguments that may be changed when trained weights are loaded; the others would change the
# architecture.
_FREE_ARGUMENTS = frozenset(
    ("image_shape", "ignore_label", "class_names", "palette", "frozen", "dtype", "name")
)


def from_preset(
    cls, preset: str | os.PathLike, num_classes: int | None, load_weights: bool, overrides: dict
):
    """Build a model from a preset; see `ESeg.from_preset`."""
    known = set(inspect.signature(cls.__init__).parameters) - {"self", "num_classes"}
    if unknown := sorted(set(overrides) - known):
        near = difflib.get_close_matches(unknown[0], sorted(known), n=3) or sorted(known)
        raise ValueError(
            f"Unknown arguments {unknown}. Did you mean one of {near}? Presets accept the "
            f"arguments of {cls.__name__}."
        )
    preset = os.fspath(preset)
    if preset in ARCHITECTURES:
        return _bare(cls, preset, num_classes, load_weights, overrides)
    with preset_directory(preset) as directory:
        return _trained(cls, directory, num_classes, load_weights, overrides)


def _bare(cls, name, num_classes, load_weights, overrides):
    config = ARCHITECTURES[name].constructor_arguments()
    if not str(overrides.get("decoder", "bifpn")).startswith("bifpn"):
        # These arguments are for BiFPN; other decoders have their own defaults.
        del config["decoder_channels"], config["decoder_repeats"]
    config = {**config, "name": name, **overrides}
    if load_weights and has_imagenet_weights(config["encoder"]):
        config.setdefault("encoder_weights", "imagenet")
    model = cls(num_classes=19 if num_classes is None else num_classes, **config)
    if load_weights and name not in _announced:
        _announced.add(name)
        encoder = "ImageNet" if config.get("encoder_weights") == "imagenet" else "random"
        if config.get("encoder_weights") not in (None, "imagenet"):
            encoder = str(config["encoder_weights"])
        _log.warning(
            "%s is an architecture: %s encoder weights, random decoder, %d classes. Its labels "
            "mean nothing before training: train it, or load a trained preset.",
            name,
            encoder,
            model.num_classes,
        )
    return model


def _trained(cls, directory, num_classes, load_weights, overrides):
    if load_weights and (structural := sorted(set(overrides) - _FREE_ARGUMENTS)):
        raise ValueError(
            f"{structural} would change the architecture, but the weights in {directory} are for "
            "the original architecture. Remove these arguments, or pass load_weights=False."
        )
    config = read_constructor_arguments(directory)
    metadata, weights = {}, None
    if load_weights:
        _check_channels(directory, config, overrides)
        metadata = read_preset_json(directory / METADATA_FILE)
        weights = checked_weights(directory, metadata)
    _check_size(directory, config, metadata, weights)
    if num_classes is None or num_classes == config["num_classes"]:
        model = _build(cls, directory, config, overrides)
        if load_weights:
            _load_weights(model, directory, metadata, weights)
            model.training_long_side = _training_long_side(directory, metadata)
        return model
    overrides = {**_for_other_classes(config, num_classes, overrides), **overrides}
    model = _build(cls, directory, config, overrides)
    if load_weights:
        # Copy all weights; of the classifier, only those of classes that have the same name in the
        # preset.
        source = _build(cls, directory, config, {})
        _load_weights(source, directory, metadata, weights)
        model.copy_weights(source)
    return model


def _check_channels(directory, config, overrides):
    if "image_shape" not in config or "image_shape" not in overrides:
        return
    channels, shape = config["image_shape"][2], overrides["image_shape"]
    if isinstance(shape, tuple | list) and len(shape) == 3 and shape[2] != channels:
        raise ValueError(
            f"The weights in {directory} are for images of {channels} channels. Received: "
            f"image_shape={tuple(shape)}. Pass image_shape with {channels} channels, or "
            "load_weights=False to build without the weights."
        )


def _check_size(directory, config, metadata, weights):
    """Raise PresetError if a network exceeds the limits or the size of its weights file."""
    arguments = inspect.signature(_decoder_size).parameters
    least = _decoder_size(**{name: config[name] for name in arguments if name in config})
    path, remedy = directory / CONFIG_FILE, "Copy or download the preset again."
    if least > _MOST_PARAMETERS:
        raise PresetError(
            f"{path} does not fit the limits: its decoder has at least {least} parameters, "
            f"expected at most {_MOST_PARAMETERS}. {remedy}"
        )
    if weights is None:
        return
    count, size = metadata.get("parameter_count"), weights.stat().st_size
    if not isinstance(count, int) or not least <= count <= size // _FEWEST_BYTES:
        raise PresetError(
            f"{path} does not fit {METADATA_FILE} and {WEIGHTS_FILE}: its decoder has at least "
            f"{least} parameters, found parameter_count={count!r} and weights of {size} bytes. "
            f"{remedy}"
        )


def _decoder_size(
    decoder="bifpn", min_level=2, max_level=9, decoder_channels=96, decoder_repeats=4
):
    """Return a lower bound on the parameters of a decoder: the convolutions of its repeats."""
    if decoder not in DECODERS:
        return 0  # An unknown name, for which the constructor raises an error.
    kernels = DECODERS[decoder].least_kernels(max_level - min_level + 1)
    return kernels * decoder_repeats * decoder_channels**2


def _for_other_classes(config, num_classes, overrides):
    """Return the arguments that change with the number of classes."""
    label = config.get("ignore_label", 255)
    if (
        "ignore_label" not in overrides
        and isinstance(num_classes, int)
        and 0 <= label < num_classes
    ):
        raise ValueError(
            f"The ignore label of the preset is {label}, which is one of the {num_classes} "
            "classes. Pass another ignore label, such as ignore_label=255. Received: "
            f"num_classes={num_classes}"
        )
    # The new classifier must be trained, even if the head is frozen in the preset.
    frozen = tuple(part for part in config.get("frozen", ()) if part != "head")
    return {"num_classes": num_classes, "class_names": None, "palette": None, "frozen": frozen}


def _build(cls, directory, config, overrides):
    try:
        return cls(**{**config, **overrides})
    except (TypeError, ValueError) as error:
        if overrides:
            # Build without overrides: if this works, the overrides are wrong, not the files.
            _build(cls, directory, config, {})
            raise
        raise PresetError(
            f"{directory / CONFIG_FILE} and {PREPROCESSOR_FILE} do not describe a valid model: "
            f"{error}. Copy or download the preset again."
        ) from error


def _training_long_side(directory, metadata):
    value = metadata.get(TRAINING_LONG_SIDE)
    if value is not None and (type(value) is not int or value < 1):
        raise PresetError(
            f"{directory / METADATA_FILE} is damaged: {TRAINING_LONG_SIDE} must be a positive "
            f"integer, found {value!r:.80}. Copy or download the preset again."
        )
    return value


def _load_weights(model, directory: pathlib.Path, metadata, path):
    expected = metadata.get("parameter_count")
    remedy = "Copy or download the preset again, or build without it: load_weights=False."
    if expected != model.count_params():
        raise PresetError(
            f"{path} does not fit {directory / CONFIG_FILE}: expected {model.count_params()} "
            f"parameters, found {expected}. {remedy}"
        )
    if notice := metadata.get("notice"):
        _log.warning("%s: %.300s", directory.name, notice)
    try:
        read_weights(model, path)
    except (OSError, WeightsMismatchError) as error:
        raise PresetError(f"{path} does not fit the network: {error}. {remedy}") from error
