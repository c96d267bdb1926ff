"""Show examples of a data set as one image."""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from eseg_keras.visualization.grids import with_legend
from eseg_keras.visualization.legend import hatching
from eseg_keras.visualization.overlays import Palette, default_palette, overlay
from eseg_keras.visualization.sheet import fit, sheet

_COLUMNS = 4
_CELL_SIZE = 320


def contact_sheet(
    examples: Iterable[tuple[str, np.ndarray, np.ndarray]],
    class_names: Sequence[str],
    palette: Palette | None = None,
    ignore_label: int = 255,
) -> Image.Image:
    """Return an image with the overlays of examples (name, image, mask), in rows of four.

    Pixels of `ignore_label` are striped; a legend names the classes that occur.
    """
    palette = palette or default_palette(len(class_names))
    tiles, names, found = [], [], set()
    for name, image, mask in examples:
        small = fit(Image.fromarray(image), _CELL_SIZE, Image.Resampling.LANCZOS)
        labels = np.asarray(fit(Image.fromarray(mask), _CELL_SIZE, Image.Resampling.NEAREST))
        stripes = Image.blend(small, Image.fromarray(hatching(*labels.shape)), 0.5)
        tile = overlay(np.asarray(small), labels, palette)
        tile.paste(stripes, mask=Image.fromarray(labels == ignore_label))
        tiles.append(tile)
        names.append(name)
        found |= set(np.unique(mask).tolist())
    if not tiles:
        raise ValueError("A contact sheet needs at least one example.")
    rows, captions = _rows(tiles), _rows(names)
    return with_legend(sheet(rows, captions), found, class_names, palette, ignore_label)


def _rows(items):
    return [items[start : start + _COLUMNS] for start in range(0, len(items), _COLUMNS)]
