"""A folder of predictions that knows what it was made with, and of which files."""

import hashlib
import json
from pathlib import Path

import keras

from eseg_keras.files import read_json, write_json, write_text
from eseg_keras.inference.input_files import InputFile
from eseg_keras.inference.predictor import Predictor
from eseg_keras.version import __version__

_ENTRY = ("name", "video", "path", "size", "modified")
_REMEDY = "Choose another --output, or pass --overwrite to replace what is there"


def settings_of(predictor: Predictor, **options: object) -> dict:
    """Return what the outputs of a predictor depend on.

    Args:
        predictor: The predictor. Its batch size does not count: it is a matter of speed.
        **options: How the outputs are written.

    Returns:
        A dict that JSON can hold.
    """
    digest = hashlib.sha256()
    for weight in predictor.model.weights:
        digest.update(keras.ops.convert_to_numpy(weight).tobytes())
    model = {
        "num_classes": predictor.num_classes,
        "class_names": predictor.class_names,
        "palette": predictor.palette,
        "ignore_label": predictor.ignore_label,
        "weights_sha256": digest.hexdigest(),
    }
    names = ("long_side", "image_size", "scales", "flip", "window", "overlap", "min_confidence")
    seen = {name: getattr(predictor, name) for name in names}
    options = seen | {"maps": sorted(predictor.maps)} | options
    # As it looks when read back.
    return json.loads(json.dumps({"model": model, "options": options}))


class OutputFolder:
    """The outputs of a prediction, some of which an earlier process may have written.

    `predictions.json` says which model and options everything is made with, and `files.jsonl` has a
    line for each finished file: its path, size and time of change. A file counts as done if it has
    the size and time noted there and its outputs exist. If it has changed since, it is predicted
    again.

    Args:
        path: The folder. Nothing is written before `begin`.
        settings: What the outputs depend on, from `settings_of`.
        files: The files to predict.
        overwrite: Whether all are predicted again, whatever is there.

    Attributes:
        settings: As passed.
        waiting: The files that are left to predict.

    Raises:
        ValueError: If the folder holds outputs of another model, of other options, of another file
            with the name of one of these, or files of another origin in the place of outputs.
    """

    def __init__(
        self, path: str | Path, settings: dict, files: list[InputFile], overwrite: bool = False
    ):
        self.path, self.settings = Path(path), settings
        self._log = self.path / "files.jsonl"
        self._finished, self._claimed = {}, False
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"{self.path} is a file. Choose another --output.")
        if overwrite:
            self.waiting = list(files)
            return
        self._claimed = self._check_settings()
        if self._claimed:
            self._finished = self._read_log()
        self.waiting = [file for file in files if not self._is_done(file)]
        for file in self.waiting:
            self._check_place(file)

    def outputs(self, file: InputFile) -> dict[str, Path]:
        """Return the paths of a file's outputs by kind, in the order of writing."""
        options = self.settings["options"]
        if file.is_video:
            return {"video": self.path / "videos" / f"{file.name}.mp4"}
        paths = {
            kind: self.path / kind / f"{file.name}.{'npz' if kind == 'probabilities' else 'png'}"
            for kind in [*options["maps"], "labels"]
        }
        if options["overlay"]:
            paths["overlays"] = self.path / "overlays" / f"{file.name}.png"
        return paths

    def begin(self) -> None:
        """Make the folder and say in it what it is made with, before the first output."""
        self.path.mkdir(parents=True, exist_ok=True)
        # The log first: what an earlier process did is never taken for done with these settings.
        # Writing it anew also drops a line torn by a kill, which would spoil the next one.
        log = "".join(json.dumps(entry) + "\n" for entry in self._finished.values())
        write_text(self._log, log)
        if not self._claimed:
            versions = {"eseg-keras": __version__, "keras": keras.__version__}
            versions["backend"] = keras.backend.backend()
            write_json(self.path / "predictions.json", {**self.settings, "versions": versions})

    def finish(self, file: InputFile) -> None:
        """Note that all outputs of a file are there."""
        with self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(_entry(file)) + "\n")

    def _check_settings(self):
        """Whether the folder is one of these predictions; refuse one of others."""
        path = self.path / "predictions.json"
        if not path.is_file():
            return False
        there = read_json(path, f"{_REMEDY}.", {"options": dict, "model": dict})
        options, model = there["options"], there["model"]
        if model != self.settings["model"]:
            raise ValueError(f"{self.path} holds predictions of another model. {_REMEDY}.")
        changed = [
            f"{name} ({options.get(name)} there, {value} here)"
            for name, value in self.settings["options"].items()
            if options.get(name) != value
        ]
        if changed:
            raise ValueError(
                f"{self.path} holds predictions with other options: {', '.join(changed)}. "
                f"{_REMEDY}."
            )
        return True

    def _read_log(self):
        finished = {}
        lines = self._log.read_bytes().splitlines() if self._log.is_file() else []
        for line in lines:
            try:
                entry = json.loads(line)
                entry = {name: entry[name] for name in _ENTRY}
                finished[entry["video"], entry["name"]] = entry
            except (ValueError, TypeError, KeyError, RecursionError):
                continue  # Torn by a kill: that file is predicted again.
        return finished

    def _is_done(self, file):
        entry = self._finished.get((file.is_video, file.name))
        # The folder of the inputs may have moved since: the path does not count.
        same = entry and (entry["size"], entry["modified"]) == (file.size, file.modified)
        return bool(same) and all(path.is_file() for path in self.outputs(file).values())

    def _check_place(self, file):
        entry = self._finished.get((file.is_video, file.name))
        if (
            entry
            and entry["path"] != str(file.path.resolve())
            and ((entry["size"], entry["modified"]) != (file.size, file.modified))
        ):
            raise ValueError(
                f"{self.path} holds the outputs of another file under the name of {file.path}: "
                f"{entry['path']}. {_REMEDY}."
            )
        there = [path for path in self.outputs(file).values() if path.exists()]
        if there and not self._claimed:
            raise ValueError(f"{there[0]} exists and is no earlier prediction. {_REMEDY}.")


def _entry(file):
    return {
        "name": file.name,
        "video": file.is_video,
        "path": str(file.path.resolve()),
        "size": file.size,
        "modified": file.modified,
    }
