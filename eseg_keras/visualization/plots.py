"""Plot confusion matrices, and the fusion weights of the pyramid levels."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from eseg_keras.visualization.texts import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Largest number of classes for which the cells show their values.
_MOST_WITH_VALUES = 24


def plot_confusion_matrix(
    matrix: np.ndarray,
    class_names: Sequence[str] | None = None,
    normalize: bool = True,
    title: str | None = None,
) -> "Figure":
    """Plot a confusion matrix.

    The size of the figure depends on the number of classes and the length of their names, so that
    all names are readable. With up to 24 classes, the cells show their values.

    Args:
        matrix: Numbers of pixels [C, C], with labels in rows and predictions in columns; or
            [C, C + 1], whose last column counts pixels without a predicted class. The last column
            is not shown if it is 0.
        class_names: One name per class. Defaults to "0", "1", ...
        normalize: Whether to show each row in percent of its pixels; the row of a class without
            pixels is grey. `False` shows counts, with colours on a logarithmic scale.
        title: Title above the matrix. Defaults to `None`.

    Returns:
        A `matplotlib.figure.Figure`; notebooks display it.

    Raises:
        ValueError: If the matrix has another shape, or the number of names is wrong.
        ImportError: If matplotlib is missing.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.visualization import plot_confusion_matrix
    >>> figure = plot_confusion_matrix(np.array([[9, 1], [2, 8]]), ["road", "car"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['90', '10', '20', '80']
    """
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or not 0 <= matrix.shape[1] - matrix.shape[0] <= 1 or not matrix.size:
        raise ValueError(
            f"matrix must be of shape [C, C] or [C, C + 1]. Received: {list(matrix.shape)}"
        )
    num_classes = len(matrix)
    names = [str(label) for label in range(num_classes)] if class_names is None else class_names
    if len(names) != num_classes:
        raise ValueError(
            f"Expected one name per class. Received: {len(names)} names, {num_classes} classes"
        )
    names = [printable(name) for name in names]
    from eseg_keras.optional import require
    from eseg_keras.visualization.figures import INK, NotebookFigure, width_of

    colors = require("matplotlib.colors", "visualization")
    columns = [*names, "no class"] if matrix[:, num_classes:].any() else [*names]
    matrix = matrix[:, : len(columns)]
    totals = matrix.sum(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        values = 100 * matrix / totals if normalize else np.where(matrix > 0, matrix, np.nan)

    # Sizes in inches; the margins are as wide as the names.
    cell = max(2.4 / num_classes, 0.42 if num_classes <= _MOST_WITH_VALUES else 0.16)
    font_size = 9 if num_classes <= _MOST_WITH_VALUES else 7.5
    names_width = width_of(columns, font_size)
    upright = names_width < 0.9 * cell
    left, bottom = names_width + 0.5, (0.2 if upright else names_width) + 0.5
    top, right = 0.5 if title else 0.2, 1.1
    width, height = cell * len(columns), cell * num_classes
    right = max(right, width_of([title or ""], 11) - width + 0.2)
    total = (left + width + right, bottom + height + top)
    figure = NotebookFigure(figsize=total, facecolor="white")

    def add_axes(box, **options):
        """Add axes in a box (left, bottom, width, height), in inches."""
        return figure.add_axes([x / total[i % 2] for i, x in enumerate(box)], **options)

    color = "#e4e4e4" if normalize else "white"
    axes = add_axes((left, bottom, width, height), facecolor=color)
    norm = colors.Normalize(0, 100) if normalize else colors.LogNorm(1, max(matrix.max(), 10))
    shown = axes.imshow(values, "Blues", norm, aspect="auto", interpolation="nearest")
    rotation = 0 if upright else 90
    axes.set_xticks(range(len(columns)), columns, rotation=rotation, fontsize=font_size)
    axes.set_yticks(range(num_classes), names, fontsize=font_size)
    for text in [*axes.get_xticklabels(), *axes.get_yticklabels()]:
        text.set_parse_math(False)
    axes.tick_params(length=0, colors=INK)
    axes.set_xlabel("predicted", color=INK)
    axes.set_ylabel("labelled", color=INK)
    if title:
        axes.set_title(title, color=INK, fontsize=11, loc="left", parse_math=False)
    # Lines between the cells.
    axes.set_xticks(np.arange(0.5, len(columns) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, num_classes - 1), minor=True)
    axes.grid(which="minor", color="#d8d8d8", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    bar_height = min(height, 3.0)
    bar = add_axes((left + width + 0.15, bottom + height - bar_height, 0.12, bar_height))
    label = "% of the labelled pixels" if normalize else "pixels"
    figure.colorbar(shown, bar).set_label(label, color=INK, fontsize=9)
    if num_classes <= _MOST_WITH_VALUES:
        for (row, column), value in np.ndenumerate(values):
            text = _percent(value) if normalize else _short(matrix[row, column])
            # White text on dark cells.
            color = "white" if norm(value) > 0.55 else INK
            axes.text(column, row, text, color=color, fontsize=8, ha="center", va="center")
    return figure


def plot_level_weights(weights: Mapping[str, float], title: str | None = None) -> "Figure":
    """Plot the weight of each pyramid level in the fusion of a model.

    Args:
        weights: Dict from level (`"P3"`, ...) to weight, as returned by `ESeg.level_weights()`.
            Level n has 1/2^n of the image's height and width.
        title: Title above the bars. Defaults to `None`.

    Returns:
        A `matplotlib.figure.Figure`; notebooks display it.

    Raises:
        ValueError: If there are no levels.
        ImportError: If matplotlib is missing.

    Example:

    >>> from eseg_keras.visualization import plot_level_weights
    >>> figure = plot_level_weights({"P3": 0.75, "P4": 0.25})
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['0.750', '0.250']
    """
    if not weights:
        raise ValueError("There are no levels to plot. Pass the dict of ESeg.level_weights().")
    from eseg_keras.visualization.figures import INK, NotebookFigure

    figure = NotebookFigure(
        figsize=(6, 0.8 + 0.36 * len(weights)), facecolor="white", layout="constrained"
    )
    axes = figure.subplots()
    names = [f"{name}  (1/{2 ** int(name[1:])})" for name in weights]
    bars = axes.barh(names, list(weights.values()), color="#0072b2", height=0.7)
    axes.bar_label(bars, [f"{value:.3f}" for value in weights.values()], padding=4, color=INK)
    axes.invert_yaxis()
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_xlabel("weight in the fusion", color=INK)
    axes.set_ylabel("level (size relative to the image)", color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(colors=INK)
    axes.tick_params(axis="y", length=0)
    if title:
        axes.set_title(title, color=INK, loc="left", fontsize=11, parse_math=False)
    return figure


def _percent(value):
    return "" if np.isnan(value) or value < 0.5 else f"{value:.0f}"


def _short(count):
    """Return a count in at most four characters, such as 1.2M."""
    for size, letter in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        # 999,500 and more thousands would be rounded to 1000k.
        if count >= size * (0.9995 if size > 1000 else 1):
            digits = 1 if count < 9.95 * size else 0
            return f"{count / size:.{digits}f}{letter}"
    return str(count) if count else ""
