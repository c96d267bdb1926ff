"""The files of a preset directory, read with checks and written whole or not at all."""

import hashlib
import json
import os
import pathlib
import shutil
import tempfile

CONFIG_FILE = "config.json"
METADATA_FILE = "metadata.json"
PREPROCESSOR_FILE = "preprocessor.json"
WEIGHTS_FILE = "weights.h5"


class PresetError(ValueError):
    """A preset directory cannot be used; the message names the file and the remedy."""


def read_json(path: pathlib.Path) -> dict:
    """Read one JSON object.

    Args:
        path: The file.

    Returns:
        The object as a dict.

    Raises:
        FileNotFoundError: If the file is missing.
        PresetError: If it holds no JSON object.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path.parent} is not a preset directory: {path.name} is missing. Presets are written "
            f"by model.save_to_preset(directory) and hold {CONFIG_FILE}, {METADATA_FILE}, "
            f"{PREPROCESSOR_FILE} and {WEIGHTS_FILE}."
        )
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise PresetError(
            f"{path} is damaged: it holds no JSON ({error}). Copy or download the preset again."
        ) from error
    if not isinstance(content, dict):
        raise PresetError(
            f"{path} is damaged: expected a JSON object, found a {type(content).__name__}. "
            "Copy or download the preset again."
        )
    return content


def fingerprint(path: pathlib.Path) -> dict:
    """Return the size in bytes and the SHA-256 of a file, as the metadata keeps them."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest}


def checked_weights(directory: pathlib.Path, metadata: dict) -> pathlib.Path:
    """Return the weights file after comparing it with the metadata.

    Args:
        directory: The preset directory.
        metadata: Content of its metadata file.

    Returns:
        Path of the weights file.

    Raises:
        FileNotFoundError: If the file is missing.
        PresetError: If its size or SHA-256 is not the recorded one.
    """
    path = directory / WEIGHTS_FILE
    remedy = "Copy or download the preset again, or build without it: load_weights=False."
    expected = metadata.get("weights")
    if not isinstance(expected, dict) or not {"bytes", "sha256"} <= set(expected):
        raise PresetError(
            f"{directory / METADATA_FILE} lacks the size and SHA-256 of the weights. {remedy}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"The weights file {path} is missing. {remedy}")
    size = path.stat().st_size
    if size != expected["bytes"]:
        raise PresetError(
            f"{path} is truncated or of another preset: expected {expected['bytes']} bytes, found "
            f"{size}. {remedy}"
        )
    found = fingerprint(path)["sha256"]
    if found != expected["sha256"]:
        raise PresetError(
            f"{path} is damaged: expected SHA-256 {expected['sha256']}, found {found}. {remedy}"
        )
    return path


class NewDirectory:
    """Write the files of a directory under a temporary name and move them when all are there.

    Args:
        directory: The directory to make; it must not exist, or be empty.

    Raises:
        FileExistsError: If the directory holds anything.
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = pathlib.Path(directory).resolve()
        self.is_there = self.directory.exists()
        if self.is_there and (not self.directory.is_dir() or any(self.directory.iterdir())):
            raise FileExistsError(
                f"{self.directory} exists and is not empty. Choose another directory or remove it."
            )

    def __enter__(self) -> pathlib.Path:
        # A directory that is there may be the working directory or a mount point: it stays, and
        # the files are moved into it.
        parent = self.directory if self.is_there else self.directory.parent
        parent.mkdir(parents=True, exist_ok=True)
        self.temporary = pathlib.Path(
            tempfile.mkdtemp(prefix=f".{self.directory.name}.", dir=parent)
        )
        return self.temporary

    def __exit__(self, kind, error, traceback):
        try:
            if kind is None and self.is_there:
                self._move_files()
            elif kind is None:
                # A temporary directory is private; the finished one has the usual permissions.
                umask = os.umask(0)
                os.umask(umask)
                self.temporary.chmod(0o777 & ~umask)
                self.temporary.replace(self.directory)
        finally:
            shutil.rmtree(self.temporary, ignore_errors=True)

    def _move_files(self):
        moved = []
        try:
            for path in sorted(self.temporary.iterdir()):
                moved.append(path.replace(self.directory / path.name))
        except OSError:
            for path in moved:
                path.unlink()
            raise
