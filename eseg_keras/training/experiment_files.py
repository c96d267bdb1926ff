"""Experiment files: find, load and write them, and parse the notes in their docstrings."""

import ast
import dataclasses
import difflib
import re
import runpy
import traceback
from pathlib import Path
from typing import NamedTuple

from eseg_keras.files import write_text
from eseg_keras.training.experiment import ClassificationExperiment, Experiment

_FIELD = re.compile(r"^(\w+): +(\S.*(?:\n +\S.*)*)$", re.MULTILINE)
_MEAN_IOU = re.compile(r"mean IoU (0\.\d{3})\b")


def experiments_dir() -> Path:
    """Return the folder of the shipped experiments, in a checkout or in an installed package."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "experiments"
    return installed if installed.is_dir() else package.parent / "experiments"


def experiment_names() -> list[str]:
    """Return the names of the shipped experiments, such as `"camvid/eseg_lite_s"`, sorted."""
    root = experiments_dir()
    paths = root.glob("*/*.py")
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in paths)


def load_experiment(name: str) -> Experiment | ClassificationExperiment:
    """Load an experiment by its name or from a Python file.

    Args:
        name: Name of a shipped experiment, such as `"camvid/eseg_lite_s"`, or the path of a Python
            file that defines a function `get_experiment()`.

    Returns:
        The experiment that the file's `get_experiment()` returns.

    Raises:
        ValueError: If there is no such experiment (the message contains the nearest names), or if
            the file's function is missing, fails, or returns another type.

    Example:

    >>> from eseg_keras.training import load_experiment
    >>> load_experiment("camvid/eseg_lite_s").num_classes
    11
    """
    if name.endswith(".py"):
        path = Path(name)
        if not path.is_file():
            raise ValueError(f"There is no experiment file '{name}'.")
    else:
        names = experiment_names()
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names
            raise ValueError(
                f"There is no experiment '{name}'. Nearest names: {', '.join(near)}. "
                "To load your own file, pass its path, which ends in .py."
            )
        path = experiments_dir() / f"{name}.py"
    name = str(path)
    try:
        # An import would write a folder __pycache__ beside the file, possibly into a model_dir.
        get_experiment = runpy.run_path(name).get("get_experiment")
        if not callable(get_experiment):
            raise ValueError("it must define a function get_experiment().")
        experiment = get_experiment()
    except Exception as error:  # The file's own code may raise anything.
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == name]
        where = f", line {lines[-1]}" if lines else ""
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"{path}{where}: {kind}{error}") from error
    if not isinstance(experiment, Experiment | ClassificationExperiment):
        raise ValueError(
            f"get_experiment() in {path} must return an eseg_keras.training.Experiment or "
            f"ClassificationExperiment. Received: {type(experiment).__name__}"
        )
    return experiment


def derive_experiment(name: str, **changes) -> Experiment:
    """Load a segmentation experiment and change some of its values.

    Args:
        name: Name or path of the experiment, see `load_experiment`.
        **changes: New values of attributes of `Experiment`.

    Returns:
        The changed experiment.

    Raises:
        ValueError: If there is no such segmentation experiment, or if a value is invalid.
        TypeError: If `Experiment` has no such attribute.

    Example:

    >>> from eseg_keras.training import derive_experiment
    >>> derive_experiment("cityscapes/eseg_s", max_level=5).batch_size
    16
    """
    experiment = load_experiment(name)
    if not isinstance(experiment, Experiment):
        raise ValueError(f"'{name}' is not a segmentation experiment: it pretrains an encoder.")
    return dataclasses.replace(experiment, **changes)


def write_experiment(path: Path, experiment: Experiment, docstring: str) -> None:
    """Write an experiment file for `load_experiment`, without fields that have default values."""
    changed = {
        field.name: getattr(experiment, field.name)
        for field in dataclasses.fields(experiment)
        if getattr(experiment, field.name) != field.default
    }
    lines = "".join(f"        {name}={value!r},\n" for name, value in changed.items())
    write_text(
        path,
        f'"""{docstring}"""\n\n'
        "from eseg_keras.training import Experiment\n\n\n"
        f"def get_experiment() -> Experiment:\n    return Experiment(\n{lines}    )\n",
    )


class RunNotes(NamedTuple):
    """The fields in the last paragraph of an experiment's docstring, in this order."""

    row: str  # Row in a table of the paper: "Table 4, ESeg-S", or "none: " and the reason.
    command: str
    hardware: str
    time: str  # Time of the command on this hardware, or "not run".
    reported: str  # Published score: "mean IoU 0.801 on ...", or "none: " and the reason.
    score: str  # Our score in the same form, or "not run: " or "none: " and the reason.

    @property
    def reported_mean_iou(self) -> float | None:
        """Published mean IoU from 0 to 1, or `None`."""
        return _mean_iou(self.reported)

    @property
    def mean_iou(self) -> float | None:
        """Our mean IoU from 0 to 1, or `None`."""
        return _mean_iou(self.score)


FIELDS = tuple(name.capitalize() for name in RunNotes._fields)


def read_run_notes(name: str) -> RunNotes:
    """Read the notes in the docstring of a shipped experiment, without executing its file."""
    path = experiments_dir() / f"{name}.py"
    return parse_run_notes(ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "", path)


def parse_run_notes(docstring: str, path: str | Path) -> RunNotes:
    """Parse the last paragraph of an experiment's docstring; `path` is for messages."""
    last = docstring.strip().split("\n\n")[-1]
    matches = list(_FIELD.finditer(last))
    names = tuple(match[1] for match in matches)
    if names != FIELDS or "\n".join(match[0] for match in matches) != last:
        raise ValueError(
            f"The docstring of {path} must end with a paragraph of the fields {', '.join(FIELDS)}, "
            f"each at the start of a line. Received: {', '.join(names) or 'none of them'}"
        )
    notes = RunNotes(*(" ".join(match[2].split()) for match in matches))
    for name, forms in (
        ("row", r"Table \d, .+|none: .+"),
        ("reported", rf"{_MEAN_IOU.pattern}.*|none: .+"),
        ("score", rf"{_MEAN_IOU.pattern}.*|not run: .+|none: .+"),
    ):
        if not re.fullmatch(forms, getattr(notes, name)):
            raise ValueError(
                f"{name.capitalize()} in the docstring of {path} must have one of the forms "
                f"{forms}. Received: {getattr(notes, name)}"
            )
    return notes


def _mean_iou(text):
    match = _MEAN_IOU.match(text)
    return None if match is None else float(match[1])
