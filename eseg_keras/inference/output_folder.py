"""A folder of predictions, with a record of the model, the options and the finished files."""

import hashlib
import json
from pathlib import Path

import keras

from eseg_keras.files import append_line, check_is_file, read_json, write_json, write_text
from eseg_keras.inference.input_files import InputFile
from eseg_keras.inference.predictor import Predictor
from eseg_keras.version import __version__

_ENTRY = ("name", "video", "path", "size", "modified")
_REMEDY = (
    "Choose another output folder, or set overwrite to replace existing predictions (of pseudo "
    "labels, remove the folder)"
)


def settings_of(predictor: Predictor, **options: object) -> dict:
    """Return the model and all options that affect outputs, as JSON types."""
    digest = hashlib.sha256()
    for weight in predictor.model.weights:
        digest.update(keras.ops.convert_to_numpy(weight).tobytes())
    names = ("num_classes", "class_names", "palette", "ignore_label")
    model = {name: getattr(predictor, name) for name in names}
    # The batch size is excluded, because it changes only the speed.
    names = ("long_side", "image_size", "scales", "flip", "window", "overlap", "min_confidence")
    names += ("image_range",)
    seen = {name: getattr(predictor, name) for name in names} | {"maps": sorted(predictor.maps)}
    settings = {"model": model | {"weights_sha256": digest.hexdigest()}, "options": seen | options}
    return json.loads(json.dumps(settings))


class OutputFolder:
    """The folder of outputs; an earlier process may have written some of them.

    `predictions.json` contains the model and the options; `files.jsonl` contains one line per
    finished file, with its path, size and modification time. A file is finished if its outputs
    exist, and its size and modification time equal those in its line; changed files are predicted
    again.

    Nothing is written before `begin`. `waiting` is the list of files to predict; with `overwrite`,
    all files. Without `overwrite`, outputs of another model, with other options or of another file
    with the same name raise ValueError; so do, in a folder without `predictions.json`, files that
    would be overwritten.
    """

    def __init__(
        self, path: str | Path, settings: dict, files: list[InputFile], overwrite: bool = False
    ):
        self.path, self._settings = Path(path), settings
        self._log = self.path / "files.jsonl"
        self._finished = {}
        self._is_ours = self._has_begun = False
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"{self.path} is a file. Choose another output folder.")
        check_is_file(self._log, f"{_REMEDY}.")
        if overwrite:
            self.waiting = list(files)
            return
        if (self.path / "predictions.json").exists():
            self._check_settings()
            self._is_ours = True
            self._finished = self._read_log()
        self.waiting = [file for file in files if not self._is_finished(file)]
        for file in self.waiting:
            self._check_place(file)

    def outputs(self, file: InputFile) -> dict[str, Path]:
        """Return {kind of output: path} for a file, in the order in which outputs are written."""
        if file.is_video:
            return {"video": self.path / "videos" / f"{file.name}.mp4"}
        options = self._settings["options"]
        kinds = [*options["maps"], "labels", *(["overlays"] if options["overlay"] else [])]
        suffixes = {"probabilities": "npz"}
        return {
            kind: self.path / kind / f"{file.name}.{suffixes.get(kind, 'png')}" for kind in kinds
        }

    def begin(self) -> None:
        """Create the folder and write the settings; call this before the first output."""
        if self._has_begun:
            return
        self._has_begun = True
        # Write the log first: with new settings, it must not list files of earlier settings. This
        # also removes an incomplete last line.
        log = "".join(json.dumps(entry) + "\n" for entry in self._finished.values())
        write_text(self._log, log)
        if not self._is_ours:
            versions = {"eseg-keras": __version__, "keras": keras.__version__}
            versions["backend"] = keras.backend.backend()
            write_json(self.path / "predictions.json", {**self._settings, "versions": versions})

    def finish(self, file: InputFile) -> None:
        """Add a file, whose outputs all exist, to the log."""
        values = (file.name, file.is_video, str(file.path.resolve()), file.size, file.modified)
        append_line(self._log, json.dumps(dict(zip(_ENTRY, values, strict=True))))

    def _check_settings(self):
        """Raise ValueError if the folder's predictions are of another model or other options."""
        path = self.path / "predictions.json"
        there = read_json(path, f"{_REMEDY}.", {"options": dict, "model": dict})
        if there["model"] != self._settings["model"]:
            raise ValueError(f"{self.path} contains predictions of another model. {_REMEDY}.")
        changed = [
            f"{name} ({there['options'].get(name)} there, {value} here)"
            for name, value in self._settings["options"].items()
            if there["options"].get(name) != value
        ]
        if changed:
            raise ValueError(
                f"{self.path} contains predictions with other options: {', '.join(changed)}. "
                f"{_REMEDY}."
            )

    def _read_log(self):
        """Return {(is_video, name): log entry} of all finished files."""
        finished = {}
        for line in self._log.read_bytes().splitlines() if self._log.is_file() else []:
            try:
                entry = json.loads(line)
                entry = {name: entry[name] for name in _ENTRY}
                finished[entry["video"], entry["name"]] = entry
            except (ValueError, TypeError, KeyError, RecursionError):
                # The process was killed while it wrote this line: predict the file again.
                continue
        return finished

    def _is_same(self, file):
        """Return whether a file's size and modification time equal those in the log."""
        entry = self._finished.get((file.is_video, file.name), {})
        return (entry.get("size"), entry.get("modified")) == (file.size, file.modified)

    def _is_finished(self, file):
        return self._is_same(file) and all(path.is_file() for path in self.outputs(file).values())

    def _check_place(self, file):
        """Raise ValueError if outputs would replace files of another origin."""
        entry = self._finished.get((file.is_video, file.name))
        if entry and entry["path"] != str(file.path.resolve()) and not self._is_same(file):
            raise ValueError(
                f"{self.path} contains outputs of {entry['path']}, which has the same output name "
                f"as {file.path}. {_REMEDY}."
            )
        there = [path for path in self.outputs(file).values() if path.exists()]
        if there and not self._is_ours:
            raise ValueError(f"{there[0]} exists and is not an earlier prediction. {_REMEDY}.")
