"""What the docstring of an experiment's file says about its run."""

import ast
import dataclasses
import re
from pathlib import Path

from eseg_keras.training.experiment import experiments_dir

FIELDS = ("Row", "Command", "Hardware", "Time", "Reported", "Score")

_FIELD = re.compile(r"^(\w+): +(\S.*(?:\n +\S.*)*)$", re.MULTILINE)
_MEAN_IOU = re.compile(r"mean IoU (0\.\d{3})\b")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunNotes:
    """The docstring of an experiment, taken apart.

    Attributes:
        row: Table and row of the paper, such as `"Table 4, ESeg-S"`, or `"none"` and why.
        command: The command that runs it.
        hardware: What it runs on.
        time: How long that takes, or `"not run"`.
        reported: Score that others report, `"mean IoU 0.801 on ..."`, or `"none"` and why.
        score: Our score, in the same form, or `"not run: "` or `"none: "` and why.
    """

    row: str
    command: str
    hardware: str
    time: str
    reported: str
    score: str

    @property
    def reported_mean_iou(self) -> float | None:
        """Mean IoU from 0 to 1 that others report, or `None`."""
        return _mean_iou(self.reported)

    @property
    def mean_iou(self) -> float | None:
        """Mean IoU from 0 to 1 of our run, or `None`."""
        return _mean_iou(self.score)


def read_run_notes(name: str) -> RunNotes:
    """Read the docstring of a shipped experiment, without running its file.

    Args:
        name: Name of the experiment, see `experiment_names`.

    Returns:
        Its parts.

    Raises:
        FileNotFoundError: If there is no such experiment.
        ValueError: If the docstring does not have the form that all experiments share.

    Example:

    >>> from eseg_keras.training.experiment_table import read_run_notes
    >>> notes = read_run_notes("cityscapes/eseg_s")
    >>> notes.row, notes.reported_mean_iou
    ('Table 4, ESeg-S without extra data', 0.801)
    """
    path = experiments_dir() / f"{name}.py"
    return parse_run_notes(ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "", path)


def parse_run_notes(docstring: str, path: str | Path) -> RunNotes:
    """Take the docstring of an experiment apart.

    Its last paragraph holds the fields of `FIELDS`, in that order, each beginning a line. Indented
    lines go on with the field above.

    Args:
        docstring: The docstring, without indentation.
        path: File that it is from, for messages.

    Returns:
        Its parts, every field as one line.

    Raises:
        ValueError: If a field is missing, unknown, or not of its form.
    """
    last = docstring.strip().split("\n\n")[-1]
    matches = list(_FIELD.finditer(last))
    names = tuple(match[1] for match in matches)
    if names != FIELDS or "\n".join(match[0] for match in matches) != last:
        raise ValueError(
            f"The docstring of {path} must end with a paragraph of the fields {', '.join(FIELDS)}, "
            f"each beginning a line. Received: {', '.join(names) or 'none of them'}"
        )
    values = {match[1].lower(): " ".join(match[2].split()) for match in matches}
    for name, forms in (
        ("row", r"Table \d, .+|none: .+"),
        ("reported", rf"{_MEAN_IOU.pattern}.*|none: .+"),
        ("score", rf"{_MEAN_IOU.pattern}.*|not run: .+|none: .+"),
    ):
        if not re.fullmatch(forms, values[name]):
            raise ValueError(
                f"{name.capitalize()} in the docstring of {path} must have one of the forms "
                f"{forms}. Received: {values[name]}"
            )
    return RunNotes(**values)


def _mean_iou(text):
    match = _MEAN_IOU.match(text)
    return None if match is None else float(match[1])
