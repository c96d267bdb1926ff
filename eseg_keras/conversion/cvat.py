"""CVAT: the XML of "CVAT for images 1.1".

Shapes are drawn in the order of their `z_order`, and of the file for equal `z_order`. Polygons and
boxes are filled with pycocotools, as in CVAT's own export of masks.

Reference:
    [CVAT's XML format](https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/)
"""

import functools
import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from eseg_keras.conversion.annotations import (
    Annotations,
    Size,
    annotation_files,
    check_number,
    check_points,
    drawn,
    paste,
    split_of,
)
from eseg_keras.conversion.coco import polygon_pixels
from eseg_keras.optional import require

_REMEDY = 'Export it again from CVAT as "CVAT for images 1.1".'
_SHAPES = ("polygon", "box", "ellipse", "mask")


def read(found: Annotations) -> None:
    """Read the XML files of an export, with or without images."""
    require("pycocotools.mask", "convert")
    roots = {}
    for path in annotation_files(found.source, "*.xml"):
        try:
            root = ElementTree.parse(path).getroot()
        except (ElementTree.ParseError, ValueError) as error:
            raise ValueError(f"{path} is not valid XML ({error}). {_REMEDY}") from error
        if root.tag == "annotations":
            roots[path] = root
        else:
            found.skipped["XML files that are not CVAT's"] += 1
    for path, root in roots.items():
        if root.find("track") is not None:
            raise ValueError(f"{path} contains the tracks of a video. {_REMEDY}")
        for label in root.iterfind("./meta//labels/label"):
            color = (label.findtext("color") or "").lstrip("#")
            try:
                rgb = tuple(bytes.fromhex(color)) if len(color) == 6 else None
            except ValueError:
                rgb = None
            found.add_class(label.findtext("name") or "", rgb)
    for path, root in roots.items():
        for image in root.iterfind("image"):
            _read_image(found, path, image)
    found.skip_unused_images()


def _read_image(found, path, image):
    size = tuple(
        check_number(_number(image, side, path), path, side) for side in ("height", "width")
    )
    shapes = []
    for element in image:
        if element.tag in _SHAPES:
            label = found.add_class(element.get("label", ""))
            order = _number(element, "z_order", path, 0)
            shapes.append((order, label, _shape(element, size, path)))
        elif element.tag != "tag":
            found.skipped[f"shapes without an area ({element.tag})"] += 1
    shapes.sort(key=lambda item: item[0])  # The sort is stable.
    regions = functools.partial(drawn, [shape for _, *shape in shapes])
    split = split_of(image.get("subset", ""))
    found.add(path, image.get("name", ""), size, regions, split)


def _number(element, name, path, default=None) -> float:
    text = element.get(name)
    if text is None and default is not None:
        return default
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not abs(value) < 1 << 31:
        raise ValueError(
            f"{path}: {name} of <{element.tag}> must be a number. Received: {text}. {_REMEDY}"
        )
    return value


def _shape(element, size: Size, path: Path):
    """Return a function that returns the pixels of a shape."""
    number = functools.partial(_number, element, path=path)
    turn = math.radians(number("rotation", default=0))
    if element.tag == "polygon":
        pairs = [pair.split(",") for pair in element.get("points", "").split(";")]
        points = check_points(pairs, path)
    elif element.tag == "box":
        left, top, right, bottom = map(number, ("xtl", "ytl", "xbr", "ybr"))
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        points = _rotated(corners, ((left + right) / 2, (top + bottom) / 2), turn)
    elif element.tag == "ellipse":
        values = tuple(map(number, ("cx", "cy", "rx", "ry")))
        return functools.partial(_ellipse_pixels, *values, turn, size)
    else:
        box = tuple(int(number(side)) for side in ("left", "top", "width", "height"))
        try:
            runs = [int(run) for run in element.get("rle", "").split(",")]
        except ValueError:
            runs = []
        if min(runs, default=-1) < 0 or sum(runs) != box[2] * box[3]:
            raise ValueError(f"{path}: the runs of a mask do not add up to its box. {_REMEDY}")
        return functools.partial(_mask_pixels, runs, *box, size)
    if len(points) < 3:
        raise ValueError(f"{path}: a polygon has fewer than 3 points. {_REMEDY}")
    return functools.partial(polygon_pixels, [np.ravel(points).tolist()], size)


def _rotated(points, center, turn):
    """Rotate points clockwise on the screen, like CVAT's angles; `turn` is in radians."""
    (x0, y0), cos, sin = center, math.cos(turn), math.sin(turn)
    return [
        (x0 + cos * (x - x0) - sin * (y - y0), y0 + sin * (x - x0) + cos * (y - y0))
        for x, y in points
    ]


def _ellipse_pixels(
    cx: float, cy: float, rx: float, ry: float, turn: float, size: Size
) -> np.ndarray:
    """Return the pixels whose centres are inside an ellipse, bool [H, W]; `turn` is in radians.

    >>> _ellipse_pixels(2.0, 0.5, 1.1, 0.5, 0.0, (1, 4)).astype(int).tolist()
    [[0, 1, 1, 0]]
    """
    y, x = np.ogrid[: size[0], : size[1]]
    x, y = x + 0.5 - cx, y + 0.5 - cy
    along = math.cos(turn) * x + math.sin(turn) * y
    across = math.cos(turn) * y - math.sin(turn) * x
    return (along / max(rx, 1e-9)) ** 2 + (across / max(ry, 1e-9)) ** 2 <= 1


def _mask_pixels(
    runs: list[int], left: int, top: int, width: int, height: int, size: Size
) -> np.ndarray:
    """Return the pixels, bool [H, W], of CVAT's row-wise run lengths (zeros first) in a box.

    >>> _mask_pixels([1, 3], 1, 0, 2, 2, (2, 4)).astype(int).tolist()
    [[0, 0, 1, 0], [0, 1, 1, 0]]
    """
    values = np.arange(len(runs)) % 2 == 1
    return paste(np.repeat(values, runs).reshape(height, width), left, top, size)
