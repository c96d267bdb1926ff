"""Detect how mask files encode classes: ids, black and white, or colours."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from eseg_keras.data.images.image_reader import ImageFileError
from eseg_keras.data.images.mask_reader import Color, count_colors, count_ids

# Masks with more values were probably smoothed, or their values are not classes.
_MOST_CLASSES = 100


class ValueCount(NamedTuple):
    """An id or a colour, its number of pixels in all masks, and the number of masks with it."""

    value: int | Color
    pixels: int
    masks: int


@dataclass(frozen=True)
class MaskCoding:
    """The detected coding: arguments for `open_folders` and a description.

    Attributes:
        num_classes: Number of classes.
        class_map: {id in the files: class id}, or None if the ids in the files are class ids.
        mask_colors: Colours in class order, or None if the masks contain ids.
        description: Description of the coding for messages.
    """

    num_classes: int
    class_map: dict[int, int] | None
    mask_colors: tuple[Color, ...] | None
    description: str


def find_mask_coding(masks: Sequence[Path], num_classes: int | None = None) -> MaskCoding:
    """Detect how masks encode classes: ids, ids with gaps, black and white, or colours.

    All mask files are read. In masks of ids, 255 is the ignore label; in black and white masks, it
    is class 1. If `num_classes` is known, ids below it are class ids, even if some of them never
    occur. Raise ValueError if the masks have more than 100 different values, or only one class.
    """
    try:
        values = _few_values(count_ids, masks)
    except ImageFileError as error:
        if not any("colour mask" in problem for problem in error.problems):
            raise
        values = _few_values(count_colors, masks)
    keys = sorted(values)
    if isinstance(keys[0], tuple):
        coding = MaskCoding(len(keys), None, tuple(keys), f"{len(keys)} colours, each a class")
    elif keys == [0, 255]:
        coding = MaskCoding(2, {255: 1}, None, "black and white: 0 and 255 are the two classes")
    else:
        ids = [key for key in keys if key != 255]
        ignored = "; 255 is ignored" if 255 in values else ""
        is_known = num_classes is not None and len(ids) > 1 and ids[-1] < num_classes
        if is_known and len(ids) < num_classes:
            absent = sorted({*range(num_classes)} - {*ids})
            found = f"class ids 0 to {num_classes - 1}; {', '.join(map(str, absent))} never occur"
            coding = MaskCoding(num_classes, None, None, found + ignored)
        elif ids == list(range(len(ids))):
            found = f"class ids 0 to {len(ids) - 1}"
            coding = MaskCoding(len(ids), None, None, found + ignored)
        else:
            class_map = {key: label for label, key in enumerate(ids)}
            found = f"ids {', '.join(map(str, ids))}, mapped to class ids 0 to {len(ids) - 1}"
            coding = MaskCoding(len(ids), class_map, None, found + ignored)
    if coding.num_classes < 2:
        raise ValueError(
            f"All masks have one class ({coding.description}): a model cannot be trained. Expected "
            "masks with at least two classes, such as 0 for background and 1 for an object."
        )
    return coding


def _few_values(count, masks):
    """Return the set of all values; raise ValueError if there are too many."""
    values = set()
    with ThreadPoolExecutor() as pool:
        for mask, counts in zip(masks, pool.map(count, masks), strict=True):
            values |= counts.keys()
            if len(values) > _MOST_CLASSES:
                pool.shutdown(cancel_futures=True)
                raise ValueError(
                    f"{mask}: the masks up to this one have {len(values)} different values, "
                    f"expected at most {_MOST_CLASSES} classes. They may be photos, smoothed, or "
                    "saved with lossy compression: export them again as PNG without smoothing or "
                    "resizing, or convert them to class ids."
                )
    return values


def count_values(
    masks: Sequence[Path], as_colors: bool, show_progress: Callable[[Iterable], Iterable] = iter
) -> list[ValueCount]:
    """Count all ids in mask files, whether or not they are classes; most frequent first.

    Colours are counted instead with `as_colors`, and for masks that cannot be read as ids. Files
    that cannot be read are skipped: `open_folders` reports them.
    """

    def count(path):
        for counted in (count_ids, count_colors)[as_colors:]:
            with contextlib.suppress(ImageFileError):
                return counted(path)
        return Counter()

    pixels, files = Counter(), Counter()
    with ThreadPoolExecutor() as pool:
        for counts in show_progress(pool.map(count, masks)):
            pixels.update(counts)
            files.update(counts.keys())
    return [ValueCount(value, number, files[value]) for value, number in pixels.most_common()]
