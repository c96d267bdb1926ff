"""Reading and checking the files of a preset directory."""

import hashlib
import pathlib

from eseg_keras.files import DamagedFileError, read_json

CONFIG_FILE = "config.json"
METADATA_FILE = "metadata.json"
PREPROCESSOR_FILE = "preprocessor.json"
WEIGHTS_FILE = "weights.h5"
# Key in the metadata; missing if the size of the training images is unknown.
TRAINING_LONG_SIDE = "training_long_side"


class PresetError(DamagedFileError):
    """Raised for a preset directory that cannot be used; the message says what to do."""


def read_preset_json(path: pathlib.Path) -> dict:
    """Read one JSON file of a preset directory."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path.parent} is not a preset directory: {path.name} is missing. Presets are written "
            f"by model.save_to_preset(directory) and contain {CONFIG_FILE}, {METADATA_FILE}, "
            f"{PREPROCESSOR_FILE} and {WEIGHTS_FILE}."
        )
    try:
        return read_json(path, "Copy or download the preset again.")
    except DamagedFileError as error:
        raise PresetError(str(error)) from error


def fingerprint(path: pathlib.Path) -> dict:
    """Return the name, size in bytes and SHA-256 of a file, in the format of the metadata."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest}


def checked_weights(directory: pathlib.Path, metadata: dict) -> pathlib.Path:
    """Compare the size and SHA-256 of the weights file with the metadata; return its path."""
    path = directory / WEIGHTS_FILE
    remedy = "Copy or download the preset again, or build without it: load_weights=False."
    expected = metadata.get("weights")
    if not isinstance(expected, dict) or not {"bytes", "sha256"} <= set(expected):
        raise PresetError(
            f"{directory / METADATA_FILE} does not contain the size and SHA-256 of the weights. "
            f"{remedy}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"The weights file {path} is missing. {remedy}")
    size = path.stat().st_size
    if size != expected["bytes"]:
        raise PresetError(
            f"{path} is truncated or belongs to another preset: expected {expected['bytes']} "
            f"bytes, found {size}. {remedy}"
        )
    found = fingerprint(path)["sha256"]
    if found != expected["sha256"]:
        raise PresetError(
            f"{path} is damaged: expected SHA-256 {expected['sha256']}, found {found}. {remedy}"
        )
    return path
