"""Reading config.json and preprocessor.json of a preset, with a check of every field.

Presets may be from untrusted sources. Only the fields in the tables below are passed to the
constructor, as plain types: no paths and no serialised objects.
"""

import pathlib
import re

from eseg_keras.encoders.builder import encoder_names
from eseg_keras.presets.files import CONFIG_FILE, PREPROCESSOR_FILE, PresetError, read_preset_json


def _is_whole(value, low, high):
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _whole(low, high):
    """Return a test for a whole number from `low` to `high`, and a description of the range."""
    return lambda value: _is_whole(value, low, high), f"a whole number from {low} to {high}"


def _is_text(value):
    return isinstance(value, str) and len(value) <= 1000


def _is_list(value, holds):
    return isinstance(value, list) and len(value) <= 255 and all(map(holds, value))


def _is_image_shape(value):
    return (
        _is_list(value, lambda size: size is None or _is_whole(size, 1, 1 << 16))
        and len(value) == 3
        and value[2] is not None
    )


def _is_color(value):
    return _is_list(value, lambda v: _is_whole(v, 0, 255)) and len(value) == 3


# {field: (test, description of valid values)}. The constructor checks combinations of values.
_CONFIG_FIELDS = {
    "encoder": (lambda v: v in encoder_names(), "one of the encoders of eseg-keras"),
    "num_classes": _whole(1, 255),
    "decoder": (_is_text, "a name"),
    "min_level": _whole(1, 12),
    "max_level": _whole(1, 12),
    "decoder_channels": _whole(1, 2048),
    "decoder_repeats": _whole(0, 64),
    "activation": (_is_text, "a name"),
    "fusion": (_is_text, "a name"),
    "output_stride": (lambda v: v in (8, 16, 32), "8, 16 or 32"),
    "image_shape": (_is_image_shape, "[height, width, channels], null for any height or width"),
    "folded": (lambda v: isinstance(v, bool), "true or false"),
    "frozen": (lambda v: _is_list(v, _is_text), "a list of names"),
}
_PREPROCESSOR_FIELDS = {
    "image_range": (lambda v: v == [0, 255], "[0, 255]"),
    "color_space": (lambda v: v in ("RGB", None), '"RGB" or null'),
    "class_names": (lambda v: v is None or _is_list(v, _is_text), "null or a list of names"),
    "palette": (
        lambda v: v is None or _is_list(v, _is_color), "null or a list of [r, g, b] of 0..255"
    ),
    "ignore_label": _whole(-255, 255),
}  # fmt: skip
_CONSTRUCTOR_LABELS = ("class_names", "palette", "ignore_label")


def read_constructor_arguments(directory: pathlib.Path) -> dict:
    """Read the constructor arguments from a preset directory."""
    path = directory / CONFIG_FILE
    content = read_preset_json(path)
    config = content.get("config")
    if content.get("class_name") != "ESeg" or not isinstance(config, dict):
        raise PresetError(
            f"{path} is not the config of an ESeg model. Expected class_name 'ESeg' and a config, "
            f"found class_name {content.get('class_name')!r}."
        )
    _check_fields(path, config, _CONFIG_FIELDS, required=("encoder", "num_classes"))
    path = directory / PREPROCESSOR_FILE
    preprocessor = read_preset_json(path)
    _check_fields(path, preprocessor, _PREPROCESSOR_FIELDS)
    labels = {key: preprocessor[key] for key in _CONSTRUCTOR_LABELS if key in preprocessor}
    # Names of TensorFlow's scopes may contain these characters, but must not start with `_` or `-`.
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", directory.resolve().name)
    name = name if name[0].isalnum() else f"preset{name}"
    return {"name": name, **config, **labels}


def _check_fields(path, content, fields, required=()):
    if unknown := sorted(set(content) - set(fields)):
        raise PresetError(
            f"{path} has the fields {unknown}, which are not part of a preset. Remove them or, if "
            "the preset was saved by a newer version of eseg_keras, install that version."
        )
    if missing := [name for name in required if name not in content]:
        raise PresetError(f"{path} has no {missing}. Copy or download the preset again.")
    for name, value in content.items():
        holds, expected = fields[name]
        if not holds(value):
            raise PresetError(
                f"{path} is not valid: {name} must be {expected}, found {value!r:.80}. Copy or "
                "download the preset again. Presets contain no code; save models with a custom "
                "encoder as .keras files."
            )
