"""Pascal VOC: `JPEGImages`, `SegmentationClass` and, optionally, `ImageSets/Segmentation`.

CVAT ("Pascal VOC", "Segmentation mask") and LabelMe's converter write the same folders, with the
classes in `labelmap.txt` or `class_names.txt`; some versions of LabelMe call the mask folder
`SegmentationClassPNG`. Pixels with index 255, such as the object outlines of VOC, are ignored. If
colours define the classes, pixels with the colour of these outlines are ignored.

Reference:
    [The Pascal VOC development kit](http://host.robots.ox.ac.uk/pascal/VOC/)
"""

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from eseg_keras.conversion.annotations import BACKGROUND, Annotations, Color, Region, split_of
from eseg_keras.data.images.image_reader import MAX_PIXELS, ImageFileError, decode
from eseg_keras.data.images.mask_reader import read_colors, read_ids
from eseg_keras.data.images.walker import find_images
from eseg_keras.files import read_text

_VOC_CLASSES = (
    BACKGROUND, "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip
_BORDER = (224, 224, 192)
_IGNORED_ID = 255
_REMEDY = "Export it again."
_MASK_FOLDERS = ("SegmentationClass", "SegmentationClassPNG")


def read(found: Annotations) -> None:
    """Read the parent of the mask folder: the source or one of its subfolders."""
    root, masks = _mask_folder(found.source)
    ids, colors = _classes(root, found)
    splits = _splits(root)
    for mask in find_images(masks, suffixes=frozenset({".png"}), kind="mask", log_skipped=False):
        name = mask.relative_to(masks).with_suffix("").as_posix()
        split = splits.get(name)
        if splits and split is None:
            found.skipped["masks that are in no list of ImageSets"] += 1
            continue
        add_mask(found, mask, root / "JPEGImages" / name, ids, colors, split)


def add_mask(
    found: Annotations,
    mask: Path,
    image: Path,
    ids: Mapping[int, str],
    colors: Mapping[Color, str] | None = None,
    split: str | None = None,
) -> None:
    """Add a mask with ids or colours of classes; `image` is the image's path without suffix."""
    try:
        pil_image = decode(mask, mask)
        size = pil_image.size[::-1]
        by_color = bool(colors) and pil_image.mode in ("P", "RGB", "RGBA")
        regions = functools.partial(_regions, mask, ids, colors if by_color else None)
        found.add(mask, image, size, regions, split)
    except ImageFileError as error:
        for problem in error.problems:
            found.problems[problem].append(str(mask))


def _mask_folder(source):
    folders = sorted(f for name in _MASK_FOLDERS for f in source.rglob(name) if f.is_dir())
    if len({folder.parent for folder in folders}) != 1:
        received = ", ".join(map(str, folders)) or "none"
        raise ValueError(
            f"{source} must contain one mask folder, {' or '.join(_MASK_FOLDERS)}. "
            f"Received: {received}. Pass the parent folder of the mask folder."
        )
    return folders[-1].parent, folders[-1]


def _classes(root, found):
    """Return ({id: class}, {colour: class} or None), and add the classes to `found`."""
    labelmap, names = root / "labelmap.txt", root / "class_names.txt"
    if labelmap.is_file():
        colors = {}
        for line in read_text(labelmap, _REMEDY).splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            name, _, rest = line.partition(":")
            try:
                red, green, blue = (int(value) for value in rest.split(":")[0].split(","))
            except ValueError:
                raise ValueError(
                    f"{labelmap}: a line must be NAME:RED,GREEN,BLUE::. Received: {line[:80]}. "
                    f"{_REMEDY}"
                ) from None
            colors[red, green, blue] = found.add_class(name, (red, green, blue))
        return dict(enumerate(colors.values())), colors
    lines = _VOC_CLASSES
    if names.is_file():
        lines = [line.strip() for line in read_text(names, _REMEDY).splitlines()]
        lines = [line for line in lines if line not in ("", "__ignore__")]
    return {index: found.add_class(name) for index, name in enumerate(lines)}, None


def _splits(root):
    """Return {name of an image: its split} from `ImageSets/Segmentation`."""
    splits = {}
    for path in sorted((root / "ImageSets" / "Segmentation").glob("*.txt")):
        split = split_of(path.stem)
        if split is not None:
            lines = map(str.strip, read_text(path, _REMEDY).splitlines())
            splits |= dict.fromkeys(filter(None, lines), split)
    return splits


def _regions(mask: Path, ids, colors) -> list[Region]:
    """Return the regions of a mask, one per value."""
    if colors is None:
        values = read_ids(mask, MAX_PIXELS).astype(np.int64)
        table = {_IGNORED_ID: None, **ids}
    else:
        red, green, blue = np.moveaxis(read_colors(mask, MAX_PIXELS).astype(np.int64), -1, 0)
        values = red << 16 | green << 8 | blue
        table = {r << 16 | g << 8 | b: n for (r, g, b), n in {_BORDER: None, **colors}.items()}
    regions = []
    for value in np.unique(values).tolist():
        if value not in table:
            shown = value if colors is None else (value >> 16, value >> 8 & 255, value & 255)
            raise ImageFileError(
                mask, [f"has the value {shown}, which is not a class: complete the list of classes"]
            )
        regions.append((table[value], values == value))
    return regions
