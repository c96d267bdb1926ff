"""How the masks of a folder are coded, found out from the masks themselves."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eseg_keras.data.images.image_reader import MAX_PIXELS, ImageFileError
from eseg_keras.data.images.mask_reader import Color, read_colors, read_ids

# More values than this in all masks: they were smoothed, or are no maps of classes.
_MOST_CLASSES = 100


@dataclass(frozen=True)
class MaskCoding:
    """Arguments of `open_folders`, and a sentence that says what was found.

    Attributes:
        num_classes: Number of classes.
        class_map: {id in the files: class}, or None if ids are classes.
        mask_colors: The colour of each class, or None for masks of ids.
        description: What was found, for the user.
    """

    num_classes: int
    class_map: dict[int, int] | None
    mask_colors: tuple[Color, ...] | None
    description: str


def find_mask_coding(masks: Sequence[Path], num_classes: int | None = None) -> MaskCoding:
    """Find out how masks are coded: ids, ids with gaps, black and white, or colours.

    255 is the ignore label of ids, except in black and white masks, where it is class 1.

    Args:
        masks: The mask files, all of which are read.
        num_classes: Number of classes, if known: ids below it are classes, also if some ids never
            occur.

    Returns:
        The coding.

    Raises:
        ValueError: If the masks have more values than classes are likely, or only one class.
        ImageFileError: If a mask cannot be read.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from eseg_keras.data.mask_coding import find_mask_coding
    >>> path = Path(tempfile.mkdtemp(), "mask.png")
    >>> mask = Image.new("L", (4, 4))
    >>> mask.putpixel((0, 0), 255)
    >>> mask.save(path)
    >>> find_mask_coding([path]).class_map
    {255: 1}
    """
    with ThreadPoolExecutor() as pool:
        try:
            values = sum(pool.map(_ids, masks), Counter())
        except ImageFileError as error:
            if not any("colour mask" in problem for problem in error.problems):
                raise
            values = sum(pool.map(_colors, masks), Counter())
    if len(values) > _MOST_CLASSES:
        raise ValueError(
            f"The masks have {len(values)} different values, expected at most {_MOST_CLASSES} "
            "classes. They may be smoothed or saved with loss: export them again as PNG without "
            "smoothing or resizing, or convert them to class ids."
        )
    keys = sorted(values)
    if isinstance(keys[0], tuple):
        coding = MaskCoding(len(keys), None, tuple(keys), f"{len(keys)} colours, each a class")
    elif keys == [0, 255]:
        coding = MaskCoding(2, {255: 1}, None, "black and white: 0 and 255 are the two classes")
    else:
        ids = [key for key in keys if key != 255]
        ignored = "; 255 is ignored" if 255 in values else ""
        if len(ids) > 1 and ids[-1] < (num_classes or 0) > len(ids):
            absent = sorted({*range(num_classes)} - {*ids})
            found = f"class ids 0 to {num_classes - 1}; none has {', '.join(map(str, absent))}"
            coding = MaskCoding(num_classes, None, None, found + ignored)
        elif ids == list(range(len(ids))):
            found = f"class ids 0 to {len(ids) - 1}"
            coding = MaskCoding(len(ids), None, None, found + ignored)
        else:
            class_map = {key: label for label, key in enumerate(ids)}
            found = f"ids {', '.join(map(str, ids))}, which become classes 0 to {len(ids) - 1}"
            coding = MaskCoding(len(ids), class_map, None, found + ignored)
    if coding.num_classes < 2:
        raise ValueError(
            f"All masks have one class ({coding.description}): there is nothing to learn. Expected "
            "masks with at least two classes, such as 0 for background and 1 for an object."
        )
    return coding


def _ids(path):
    counts = np.bincount(read_ids(path, MAX_PIXELS).ravel())
    return Counter({int(value): int(counts[value]) for value in np.flatnonzero(counts)})


def _colors(path):
    red, green, blue = np.moveaxis(read_colors(path, MAX_PIXELS).astype(np.int32), -1, 0)
    codes, counts = np.unique((red << 16) | (green << 8) | blue, return_counts=True)
    return Counter(
        {
            (c >> 16, c >> 8 & 255, c & 255): n
            for c, n in zip(codes.tolist(), counts.tolist(), strict=True)
        }
    )
