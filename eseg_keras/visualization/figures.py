"""The matplotlib figure class of all plots. Importing this module requires matplotlib."""

import io
from collections.abc import Iterable

from eseg_keras.optional import require

Figure = require("matplotlib.figure", "visualization").Figure
TextPath = require("matplotlib.textpath", "visualization").TextPath

INK = "#202020"
PALE = "#d0d0d0"


class NotebookFigure(Figure):
    """A figure that notebooks display, even if `matplotlib.pyplot` was not imported.

    `matplotlib.pyplot` is avoided because it keeps all figures in memory.
    """

    def _repr_png_(self) -> bytes:
        return png(self)


def png(figure: Figure, dpi: float = 100) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


def width_of(texts: Iterable[str], font_size: float) -> float:
    """Return the width of the widest text in inches; `$` is not parsed as mathtext."""
    # Blank texts are skipped: they have no outline.
    outlines = [
        TextPath((0, 0), text.replace("$", r"\$"), size=font_size) for text in texts if text.strip()
    ]
    return max((float(outline.get_extents().xmax) for outline in outlines), default=0.0) / 72
