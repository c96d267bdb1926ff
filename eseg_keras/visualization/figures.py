"""The matplotlib figure that the plots are drawn on. Importing this module needs matplotlib."""

import io
from collections.abc import Iterable

from eseg_keras.optional import require

Figure = require("matplotlib.figure", "visualization").Figure
TextPath = require("matplotlib.textpath", "visualization").TextPath

INK = "#202020"
PALE = "#d0d0d0"


class NotebookFigure(Figure):
    """A figure that a notebook shows by itself.

    A plain `Figure` is shown only after `matplotlib.pyplot` has been imported, with the state and
    the memory of every figure that this keeps.

    Example:

    >>> from eseg_keras.visualization.figures import NotebookFigure
    >>> NotebookFigure(figsize=(2, 1))._repr_png_()[1:4]
    b'PNG'
    """

    def _repr_png_(self) -> bytes:
        return png(self)


def png(figure: Figure, dpi: float = 100) -> bytes:
    """Return a figure as the bytes of a PNG file.

    Args:
        figure: A matplotlib figure.
        dpi: Pixels an inch.

    Returns:
        The file's content.

    Example:

    >>> from eseg_keras.visualization.figures import NotebookFigure, png
    >>> png(NotebookFigure(figsize=(2, 1)))[1:4]
    b'PNG'
    """
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


def width_of(texts: Iterable[str], font_size: float) -> float:
    """Return how wide the widest of some texts is.

    Args:
        texts: Texts, which are taken literally: `$` begins no formula.
        font_size: Points.

    Returns:
        Inches.

    Example:

    >>> from eseg_keras.visualization.figures import width_of
    >>> round(width_of(["road"], 9), 1)
    0.3
    """
    # Without the spaces at its ends, an empty text has no outline to measure.
    outlines = [
        TextPath((0, 0), text.replace("$", r"\$"), size=font_size) for text in texts if text.strip()
    ]
    return max((float(outline.get_extents().xmax) for outline in outlines), default=0.0) / 72
