"""Images, masks, predictions and errors, one row per image."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from eseg_keras.visualization.legend import add_legend, hatching
from eseg_keras.visualization.overlays import Palette, label_image
from eseg_keras.visualization.sheet import fit, sheet

WRONG = (213, 94, 0)
"""Vermilion, the colour of wrong pixels: colour-blind readers can distinguish it from grey."""


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

    With both masks and predictions, a fourth column shows the errors: wrong pixels are vermilion,
    right ones show the image in pale grey. Pixels of `ignore_label` are striped everywhere.

    Args:
        images: uint8 [H, W, 3] each, RGB; the sizes may differ.
        masks: Integers [H, W] each, of the size of their image, 0..255.
        predictions: Label maps, as `masks`.
        names: A line below each image.
        class_names: Names of the classes, for the legend. Defaults to "class 0", ...
        palette: One (red, green, blue) per class, 0..255. Classes beyond it get the colours of
            `default_palette`.
        ignore_label: Label of the pixels without a class.
        cell_size: Pixels of the longer side of every image on the grid.
        legend: Whether to add a strip below that names the classes that occur.

    Returns:
        An RGB Pillow image.

    Raises:
        ValueError: If there is no image, or images, masks and predictions differ in number or size.

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
    return with_legend(grid, found, class_names, palette, ignore_label, len(columns) == 3)


def _check(images, columns, cell_size):
    if not len(images) or cell_size < 1:
        raise ValueError(
            "A grid needs at least one image, and a cell_size of at least 1. "
            f"Received: {len(images)} images, cell_size={cell_size}"
        )
    for name, items in columns.items():
        if len(items) != len(images):
            raise ValueError(
                f"Expected as many of each as there are images. Received: {len(images)} images, "
                f"{len(items)} for {name}"
            )
        for index, (image, item) in enumerate(zip(images, items, strict=True)):
            if name != "names" and item.shape[:2] != image.shape[:2]:
                raise ValueError(
                    "An image and its label maps must be of one size. Received: image "
                    f"{index} {list(image.shape)}, {name} {list(item.shape)}"
                )


def _colored(labels, palette, ignore_label):
    colors = np.asarray(label_image(labels, palette).convert("RGB"))
    ignored = labels[..., None] == ignore_label
    return Image.fromarray(np.where(ignored, hatching(*labels.shape), colors))


def _errors(image, mask, prediction, ignore_label):
    # Pale, so that nothing in the image looks like an error.
    grey = np.asarray(image.convert("L"))[..., None] // 3 + 160
    right = np.repeat(grey.astype(np.uint8), 3, axis=-1)
    wrong = np.where((mask != prediction)[..., None], np.uint8(WRONG), right)
    ignored = mask[..., None] == ignore_label
    return Image.fromarray(np.where(ignored, hatching(*mask.shape), wrong))


def _share_wrong(mask, prediction, ignore_label):
    labelled = mask != ignore_label
    if not labelled.any():
        return "nothing labelled"
    return f"{100 * (mask != prediction)[labelled].mean():.1f}% wrong"


def with_legend(image, found, class_names, palette, ignore_label, errors=False):
    """Add a legend of the labels found, and of the colour of errors, below a Pillow image."""
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
