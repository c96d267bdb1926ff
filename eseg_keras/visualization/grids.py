"""Arrange images with masks, predictions and errors in rows and columns of one image."""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from eseg_keras.visualization.legend import add_legend, hatching
from eseg_keras.visualization.overlays import Palette, default_palette, label_image, overlay
from eseg_keras.visualization.texts import INK, PAPER, font_for, printable, shorten

_GAP = 8
_FONT_SIZE = 13

WRONG = (213, 94, 0)
"""Colour of misclassified pixels: vermilion, which colour-blind readers can tell from grey."""
_SHEET_COLUMNS = 4
_SHEET_CELL_SIZE = 320


def fit(image: Image.Image, longer_side: int, resample: Image.Resampling) -> Image.Image:
    """Scale an image, up or down, so that its longer side has `longer_side` pixels."""
    scale = longer_side / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    return image.resize(size, resample)


def sheet(
    rows: Sequence[Sequence[Image.Image]],
    captions: Sequence[Sequence[str]],
    headings: Sequence[str] = (),
) -> Image.Image:
    """Arrange images in rows and columns, with a caption (may be empty) below each image.

    All columns are as wide as the widest image; a row is as high as its highest image. Smaller
    images are centred. Rows may differ in length. Captions and headings (above the columns) are
    shortened to the column width.
    """
    headings = [printable(heading) for heading in headings]
    captions = [[printable(caption) for caption in row] for row in captions]
    texts = [*headings, *(caption for row in captions for caption in row)]
    font, line = font_for(texts, _FONT_SIZE), round(1.7 * _FONT_SIZE)
    columns = max(len(headings), *(len(row) for row in rows))
    width = max(image.width for row in rows for image in row)
    heights = [
        max(image.height for image in row) + (line if any(below) else 0)
        for row, below in zip(rows, captions, strict=True)
    ]
    top = _GAP + (line if headings else 0)
    size = (_GAP + columns * (width + _GAP), top + sum(heights) + _GAP * len(rows))
    result = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(result)

    def write(text, column, y):
        x = _GAP + column * (width + _GAP) + width / 2
        draw.text((x, y + line / 2), shorten(text, font, width), INK, font, anchor="mm")

    for column, heading in enumerate(headings):
        write(heading, column, _GAP // 2)
    for row, below, height in zip(rows, captions, heights, strict=True):
        room = height - (line if any(below) else 0)
        for column, (image, caption) in enumerate(zip(row, below, strict=True)):
            x = _GAP + column * (width + _GAP) + (width - image.width) // 2
            result.paste(image, (x, top + (room - image.height) // 2))
            write(caption, column, top + room)
        top += height + _GAP
    return result


def label_grid(
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray] | None = None,
    predictions: Sequence[np.ndarray] | None = None,
    *,
    names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    palette: Palette | None = None,
    ignore_label: int = 255,
    cell_size: int = 320,
    legend: bool = True,
) -> Image.Image:
    """Show images with their masks and predictions, one row per image.

    With masks and predictions, a fourth column shows the errors: misclassified pixels are
    vermilion, correct pixels show the image in pale grey. Pixels of `ignore_label` are striped.

    Args:
        images: Arrays uint8 [H, W, 3], RGB; their sizes may differ.
        masks: Integer arrays [H, W], 0..255, of the same sizes as the images, or `None`.
        predictions: Label maps, given like `masks`, or `None`.
        names: One caption per image. Defaults to `None`.
        class_names: Names of the classes, for the legend. Defaults to "class 0", ...
        palette: One (red, green, blue) per class, 0..255. Classes without an entry get the colours
            of `default_palette`.
        ignore_label: Label of the pixels without a class. Defaults to 255.
        cell_size: Length of the longer side of every shown image in pixels. Defaults to 320.
        legend: Whether to add a legend, below the grid, of the classes that occur. Defaults to
            `True`.

    Returns:
        An RGB Pillow image.

    Raises:
        ValueError: If there are no images, if images, masks, predictions and names differ in number
            or size, or if `cell_size` is below 1.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.visualization import label_grid
    >>> image, mask = np.zeros((32, 64, 3), "uint8"), np.zeros((32, 64), "uint8")
    >>> label_grid([image], [mask], class_names=["road"], cell_size=100).width
    224
    """
    columns = {"Image": images, "Mask": masks, "Prediction": predictions}
    columns = {name: items for name, items in columns.items() if items is not None}
    _check(images, {**columns, "names": images if names is None else names}, cell_size)
    rows, captions, found = [], [], set()
    for index, image in enumerate(images):
        shown = fit(Image.fromarray(image), cell_size, Image.Resampling.LANCZOS)
        maps = [labels[index] for labels in (masks, predictions) if labels is not None]
        small = [fit(label_image(labels), cell_size, Image.Resampling.NEAREST) for labels in maps]
        small = list(map(np.asarray, small))
        rows.append([shown, *(_colored(labels, palette, ignore_label) for labels in small)])
        captions.append(["" if names is None else names[index], *[""] * len(maps)])
        if len(maps) == 2:
            rows[-1].append(_errors(shown, *small, ignore_label))
            captions[-1].append(_share_wrong(*maps, ignore_label))
        found.update(*(np.unique(labels).tolist() for labels in maps))
    headings = [*columns, "Errors"] if len(columns) == 3 else [*columns]
    grid = sheet(rows, captions, headings)
    if not legend:
        return grid
    return _with_legend(grid, found, class_names, palette, ignore_label, len(columns) == 3)


def _check(images, columns, cell_size):
    if not len(images) or cell_size < 1:
        raise ValueError(
            "A grid needs at least one image, and a cell_size of at least 1. "
            f"Received: {len(images)} images, cell_size={cell_size}"
        )
    for name, items in columns.items():
        if len(items) != len(images):
            raise ValueError(
                f"Expected one entry of each argument per image. Received: {len(images)} images, "
                f"{len(items)} for {name}"
            )
        for index, (image, item) in enumerate(zip(images, items, strict=True)):
            if name != "names" and item.shape[:2] != image.shape[:2]:
                raise ValueError(
                    "An image and its label maps must have the same size. Received: image "
                    f"{index} {list(image.shape)}, {name} {list(item.shape)}"
                )


def _colored(labels, palette, ignore_label):
    colors = np.asarray(label_image(labels, palette).convert("RGB"))
    ignored = labels[..., None] == ignore_label
    return Image.fromarray(np.where(ignored, hatching(*labels.shape), colors))


def _errors(image, mask, prediction, ignore_label):
    # The image is pale, so that it cannot be confused with the colour of errors.
    grey = np.asarray(image.convert("L"))[..., None] // 3 + 160
    right = np.repeat(grey.astype(np.uint8), 3, axis=-1)
    wrong = np.where((mask != prediction)[..., None], np.uint8(WRONG), right)
    ignored = mask[..., None] == ignore_label
    return Image.fromarray(np.where(ignored, hatching(*mask.shape), wrong))


def _share_wrong(mask, prediction, ignore_label):
    labelled = mask != ignore_label
    if not labelled.any():
        return "no labelled pixels"
    return f"{100 * (mask != prediction)[labelled].mean():.1f}% wrong"


def _with_legend(image, found, class_names, palette, ignore_label, errors=False):
    """Add a legend of the labels in `found`, and optionally of errors, below a Pillow image."""
    every = label_image(np.zeros((1, 1)), palette).getpalette()
    labels = sorted(found - {ignore_label})
    names = [
        class_names[label] if class_names and label < len(class_names) else f"class {label}"
        for label in labels
    ]
    colors = [tuple(every[3 * label : 3 * label + 3]) for label in labels]
    if ignore_label in found:
        names, colors = [*names, "ignored"], [*colors, None]
    if errors:
        names, colors = [*names, "wrong"], [*colors, WRONG]
    return add_legend(image, names, colors, font_size=13)


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
        small = fit(Image.fromarray(image), _SHEET_CELL_SIZE, Image.Resampling.LANCZOS)
        labels = np.asarray(fit(Image.fromarray(mask), _SHEET_CELL_SIZE, Image.Resampling.NEAREST))
        stripes = Image.blend(small, Image.fromarray(hatching(*labels.shape)), 0.5)
        tile = overlay(np.asarray(small), labels, palette)
        tile.paste(stripes, mask=Image.fromarray(labels == ignore_label))
        tiles.append(tile)
        names.append(name)
        found |= set(np.unique(mask).tolist())
    if not tiles:
        raise ValueError("A contact sheet needs at least one example.")
    rows, captions = _rows(tiles), _rows(names)
    return _with_legend(sheet(rows, captions), found, class_names, palette, ignore_label)


def _rows(items):
    return [items[start : start + _SHEET_COLUMNS] for start in range(0, len(items), _SHEET_COLUMNS)]
