"""Labelled images of a data set on one sheet."""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from eseg_keras.visualization.legend import add_legend, hatching
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
    """Show labelled images side by side, the classes' colours over the photos.

    Args:
        examples: Name, image (uint8 [H, W, 3], RGB) and mask (uint8 [H, W]) of each.
        class_names: Names of the classes; those that occur are in the legend.
        palette: One (red, green, blue) a class, 0..255. Defaults to `default_palette`.
        ignore_label: Label of the pixels without a class, which are striped.

    Returns:
        An RGB picture.

    Raises:
        ValueError: If there is no example.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.visualization.contact_sheet import contact_sheet
    >>> image, mask = np.zeros((32, 64, 3), "uint8"), np.zeros((32, 64), "uint8")
    >>> contact_sheet([("a.png", image, mask), ("b.png", image, mask)], ["road"]).width
    664
    """
    palette = palette or default_palette(len(class_names))
    tiles, names, found = [], [], set()
    for name, image, mask in examples:
        photo = fit(Image.fromarray(image), _CELL_SIZE, Image.Resampling.LANCZOS)
        labels = np.asarray(fit(Image.fromarray(mask), _CELL_SIZE, Image.Resampling.NEAREST))
        stripes = Image.blend(photo, Image.fromarray(hatching(*labels.shape)), 0.5)
        tile = overlay(np.asarray(photo), labels, palette)
        tile.paste(stripes, mask=Image.fromarray(labels == ignore_label))
        tiles.append(tile)
        names.append(name)
        found |= set(np.unique(mask).tolist())
    if not tiles:
        raise ValueError("A contact sheet needs at least one example.")
    columns = min(_COLUMNS, len(tiles))
    starts = range(0, len(tiles), columns)
    picture = sheet(
        [tiles[start : start + columns] for start in starts],
        [names[start : start + columns] for start in starts],
    )
    shown = [label for label in range(len(class_names)) if label in found - {ignore_label}]
    entries = {class_names[label]: palette[label] for label in shown}
    if ignore_label in found:
        entries["ignored"] = None
    return add_legend(picture, list(entries), list(entries.values()), font_size=14)
