"""Plot the loss and the scores of runs by epoch."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from eseg_keras.files import read_csv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SCORES = {"mean_iou": "mean IoU", "pixel_accuracy": "pixel accuracy", "accuracy": "accuracy"}
# The colours of Okabe and Ito, which colour-blind readers can distinguish.
_COLORS = {
    "loss": "#0072b2",
    "mean_iou": "#d55e00",
    "pixel_accuracy": "#009e73",
    "accuracy": "#cc79a7",
}


def plot_learning_curves(
    log: str | Path | Iterable[Mapping[str, float | str]], title: str | None = None
) -> "Figure":
    """Plot the loss and the scores of a run by epoch.

    Args:
        log: `log.csv` of a run, or its rows: `"epoch"` from 0, `"loss"`, and any of `"mean_iou"`,
            `"pixel_accuracy"` and `"accuracy"`; names of validation values start with `"val_"`.
            Values may be missing or empty.
        title: Title above the curves. Defaults to `None`.

    Returns:
        A `matplotlib.figure.Figure` with the loss on the left and the scores on the right.
        Training curves are dashed, validation curves are solid. Notebooks display the figure.

    Raises:
        ValueError: If the log has no epoch, or contains text in place of a number. Infinite values
            and NaN are not drawn.
        FileNotFoundError: If the file does not exist.
        ImportError: If matplotlib is missing.

    Example:

    >>> from eseg_keras.visualization import plot_learning_curves
    >>> rows = [{"epoch": 0, "loss": 2.0}, {"epoch": 1, "loss": 1.0, "val_loss": 1.2}]
    >>> figure = plot_learning_curves(rows)
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['training', 'validation']
    """
    curves = _curves(log)
    from eseg_keras.visualization.figures import INK, NotebookFigure

    figure = NotebookFigure(figsize=(9, 3.6), facecolor="white", layout="constrained")
    loss_axes, score_axes = figure.subplots(1, 2)
    for name, color in _COLORS.items():
        axes = loss_axes if name == "loss" else score_axes
        for prefix, kind, style in (("", "training", "--"), ("val_", "validation", "-")):
            points = curves.get(prefix + name)
            if not points:
                continue
            label = kind if name == "loss" else f"{_SCORES[name]}, {kind}"
            # Some epochs may have no validation: connect the points; mark them if there are few.
            marker = "o" if len(points) <= 15 else None
            epochs, values = zip(*points, strict=True)
            axes.plot(
                epochs, values, style, color=color, label=label, marker=marker, markersize=3.5,
                alpha=0.8 if style == "--" else 1, linewidth=1.4 if style == "--" else 2,
            )  # fmt: skip
    _style(loss_axes, "loss")
    _style(score_axes, "score")
    score_axes.set_ylim(0, 1)
    if title:
        figure.suptitle(title, color=INK, fontsize=12, parse_math=False)
    return figure


def plot_comparison(
    logs: Mapping[str, str | Path | Iterable[Mapping[str, float | str]]],
) -> "Figure":
    """Plot training losses and validation scores, with one colour per run.

    Args:
        logs: Dict from the name of a run to its log, see `plot_learning_curves`.

    Returns:
        A `matplotlib.figure.Figure` with the training loss on the left and the validation mean IoU
        (or accuracy) on the right.

    Raises:
        ValueError: If there are no logs, if a log has no epoch, or if a log contains text in place
            of a number. Infinite values and NaN are not drawn.
        FileNotFoundError: If a file does not exist.
        ImportError: If matplotlib is missing.

    Example:

    >>> from eseg_keras.visualization import plot_comparison
    >>> rows = [{"epoch": 0, "loss": 2.0, "val_mean_iou": 0.4}]
    >>> figure = plot_comparison({"a": rows, "b": rows})
    >>> len(figure.axes[1].lines)
    2
    """
    if not logs:
        raise ValueError("There is no run with a completed epoch to plot.")
    curves = {name: _curves(log) for name, log in logs.items()}
    from matplotlib import colormaps

    from eseg_keras.visualization.figures import NotebookFigure

    figure = NotebookFigure(figsize=(9, 3.6), facecolor="white", layout="constrained")
    loss_axes, score_axes = figure.subplots(1, 2)
    for number, (name, found) in enumerate(curves.items()):
        color = colormaps["tab10"](number % 10)
        score = "val_mean_iou" if "val_mean_iou" in found else "val_accuracy"
        for axes, key in ((loss_axes, "loss"), (score_axes, score)):
            points = found.get(key, [])
            marker = "o" if len(points) <= 15 else None
            axes.plot(*zip(*points, strict=True), color=color, label=name, marker=marker)
    _style(loss_axes, "training loss")
    _style(score_axes, "validation score")
    return figure


def _style(axes, title):
    from eseg_keras.visualization.figures import INK, PALE

    axes.set_title(title, color=INK, loc="left", fontsize=11)
    axes.set_xlabel("epoch", color=INK)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(color=PALE, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
    if axes.lines:
        axes.legend(fontsize=9, frameon=False)


def _curves(log):
    """Return {name: [(epoch, finite value), ...]}; epochs start at 1."""
    where = "The log"
    if isinstance(log, str | Path):
        where = str(log)
        log = read_csv(log, "Pass the log.csv of another run.")
    curves = {}
    for number, row in enumerate(log):
        for name, value in row.items():
            if value in (None, ""):
                continue
            try:
                value = float(value)
            except (TypeError, ValueError):
                raise ValueError(
                    f"{where} must contain numbers. Received: {name}={value!r} in row {number + 1}"
                ) from None
            curves.setdefault(name, []).append((number, value))
    epochs = dict(curves.get("epoch", ()))
    if not epochs:
        raise ValueError(
            f"{where} has no epoch to plot: pass log.csv of a run, or rows with 'epoch' and 'loss'."
        )
    return {
        name: [
            (epochs[number] + 1, value)
            for number, value in points
            if number in epochs and math.isfinite(value)
        ]
        for name, points in curves.items()
    }
