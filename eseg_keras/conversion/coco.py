"""COCO: JSON files with images, categories and annotations.

Annotations are drawn in the order of the file. Crowd regions, which outline groups of objects
coarsely, are ignored (255), except where other objects cover them.

Reference:
    [COCO's data format](https://cocodataset.org/#format-data)
"""

import functools
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from eseg_keras.conversion.annotations import (
    Annotations,
    Size,
    annotation_files,
    check_number,
    drawn,
    split_of,
)
from eseg_keras.files import read_json
from eseg_keras.optional import require

_REMEDY = "Export it again as COCO (instance segmentation)."


def read(found: Annotations) -> None:
    """Read the JSON files of a folder, or one JSON file."""
    paths = list(annotation_files(found.source, "*.json"))
    # The published folder of COCO also contains captions and key points of the same images.
    paths = [path for path in paths if path.name.startswith("instances_")] or paths
    read_files(found, paths)


def read_files(found: Annotations, paths: Iterable[Path], drop_supercategories=False) -> None:
    """Read JSON files; optionally skip the unused supercategories that Roboflow writes."""
    require("pycocotools.mask", "convert")
    contents = {}
    for path in paths:
        content = read_json(path, _REMEDY)
        if all(isinstance(content.get(k), list) for k in ("images", "annotations", "categories")):
            contents[path] = content
        else:
            found.skipped["JSON files that are not COCO's"] += 1
    for path, content in contents.items():
        _check_fields(content, path)
        used = {annotation["category_id"] for annotation in content["annotations"]}
        above = [category.get("supercategory") for category in content["categories"]]
        for category in sorted(content["categories"], key=lambda category: category["id"]):
            empty = category["id"] not in used and category["name"] in above
            if not (drop_supercategories and empty):
                found.add_class(category["name"], _color(category))
    for path, content in contents.items():
        _read_images(found, path, content)
    found.skip_unused_images()


_FIELDS = {
    "categories": {"id": int, "name": str},
    "images": {"id": int | str, "file_name": str},
    "annotations": {"image_id": int | str, "category_id": int},
}


def _check_fields(content, path):
    """Raise ValueError if an entry lacks a field or a field has the wrong type."""
    for kind, fields in _FIELDS.items():
        for entry in content[kind]:
            if isinstance(entry, dict) and "segments_info" in entry:
                raise ValueError(f"{path} contains panoptic segments, not objects. {_REMEDY}")
            if not isinstance(entry, dict) or not all(
                isinstance(entry.get(name), types) for name, types in fields.items()
            ):
                raise ValueError(
                    f"{path}: each of the {kind} must have the fields {' and '.join(fields)}. "
                    f"Received: {str(entry)[:80]}. {_REMEDY}"
                )


def _color(category):
    color = category.get("color")
    if isinstance(color, list) and len(color) == 3 and all(c in range(256) for c in color):
        return tuple(color)
    return None


def _read_images(found, path, content):
    names = {c["id"]: c["name"] for c in content["categories"]}
    parts = path.relative_to(found.folder).parts
    words = [word for part in reversed(parts) for word in re.split(r"[^a-z]+", part.lower())]
    split = split_of(*words)
    by_image = defaultdict(list)
    for annotation in content["annotations"]:
        if annotation["category_id"] not in names:
            raise ValueError(
                f"{path}: an annotation must have the category_id of a category. "
                f"Received: {annotation['category_id']}. {_REMEDY}"
            )
        by_image[annotation["image_id"]].append(annotation)
    for image in content["images"]:
        size = tuple(check_number(image.get(side), path, side) for side in ("height", "width"))
        objects = []
        for annotation in by_image.pop(image["id"], []):
            shape = _shape(annotation, size, path, found)
            if shape is not None:
                crowd = bool(annotation.get("iscrowd"))
                name = names[annotation["category_id"]]
                objects.append((None if crowd else found.add_class(name), shape))
        objects.sort(key=lambda item: item[0] is not None)  # Crowds first; the sort is stable.
        found.add(path, image["file_name"], size, functools.partial(drawn, objects), split)
    if by_image:
        found.skipped["annotations of images that are not in the file"] += sum(
            map(len, by_image.values())
        )


def _shape(annotation, size, path, found):
    """Return a function that returns an annotation's pixels; None if it has no polygon or mask."""
    segmentation = annotation.get("segmentation")
    if not segmentation:
        found.skipped["objects with a box only"] += 1
        return None
    problem = f"{path}: the segmentation of annotation {annotation.get('id')} "
    if isinstance(segmentation, dict):
        counts = segmentation.get("counts")
        if segmentation.get("size") != list(size):
            raise ValueError(
                f"{problem}must have the size of its image, {list(size)}. "
                f"Received: {segmentation.get('size')}. {_REMEDY}"
            )
        runs = _run_lengths(counts) if isinstance(counts, str) else counts
        is_list = isinstance(runs, list) and all(isinstance(n, int) and n >= 0 for n in runs)
        if not (is_list and sum(runs) == size[0] * size[1]):
            raise ValueError(f"{problem}has counts that do not add up to its image. {_REMEDY}")
        return functools.partial(_rle_pixels, runs, size)
    given = segmentation if isinstance(segmentation, list) else [segmentation]
    polygons = [polygon for polygon in given if isinstance(polygon, list)]
    numbers = all(isinstance(n, int | float) and abs(n) < 1e6 for p in polygons for n in p)
    if len(polygons) != len(given) or not numbers or any(len(p) % 2 for p in polygons):
        raise ValueError(
            f"{problem}must be polygons [[x, y, x, y, ...], ...] or a run-length encoding. "
            f"Received: {str(segmentation)[:80]}. {_REMEDY}"
        )
    large = [p for p in polygons if len(p) >= 6]
    if len(large) < len(polygons):
        found.skipped["polygons with fewer than 3 points"] += len(polygons) - len(large)
    return functools.partial(polygon_pixels, large, size) if large else None


def polygon_pixels(polygons: Sequence[Sequence[float]], size: Size) -> np.ndarray:
    """Return the union of polygons [x, y, x, y, ...], bool [H, W]."""
    coco = require("pycocotools.mask", "convert")
    return coco.decode(coco.merge(coco.frPyObjects([list(p) for p in polygons], *size))) > 0


def _run_lengths(text):
    """Return the run lengths in COCO's compressed string; `None` if its last number is cut off.

    pycocotools leaves pixels beyond the last run uninitialized, so the caller must check that the
    lengths add up to the number of pixels. A number is spread over one or more characters with 5
    bits each; the first character has the lowest bits. The first three numbers are run lengths.
    Each later number is the difference between its run length and the run length two places before.
    """
    runs, value, shift = [], 0, 0
    for code in (ord(character) - 48 for character in text):
        value |= (code & 31) << shift
        shift += 5
        if code & 32:  # The next character belongs to the same number.
            continue
        if code & 16:  # The number is negative.
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    return None if shift else runs


def _rle_pixels(counts: Sequence[int], size: Size) -> np.ndarray:
    """Return the pixels of COCO's column-wise run-length encoding, bool [H, W].

    `counts` are the lengths of alternating runs of zeros and ones.
    """
    coco = require("pycocotools.mask", "convert")
    return coco.decode(coco.frPyObjects({"size": list(size), "counts": list(counts)}, *size)) > 0
