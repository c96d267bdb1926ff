"""Plot the fusion weights of the pyramid levels."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
