"""LabelMe: one JSON file per image.

Shapes are rasterised as in LabelMe: outlines are included, lines are 10 pixels wide, and points are
discs with a radius of 5 pixels. Later shapes in the file cover earlier ones.

Reference:
    [LabelMe](https://github.com/wkentaro/labelme)
"""

import base64
import binascii
import functools
import math
from pathlib import Path

import numpy as np

from eseg_keras.conversion.annotations import (
    Annotations,
    Size,
    annotation_files,
    check_number,
    check_points,
    paste,
    split_of,
)
from eseg_keras.data.images.image_reader import ImageFileError, decode
from eseg_keras.files import read_json, read_text

IGNORE = "__ignore__"

_PNG = "iVBOR"  # The beginning of a PNG file in base64.
_LINE_WIDTH, _POINT_RADIUS = 10, 5
# Number of points of each type of shape. The types in `_FEWEST_POINTS` have at least the given
# number of points.
_NUM_POINTS = {
    "circle": 2, "line": 2, "mask": 2, "oriented_rectangle": 4, "point": 1, "rectangle": 2,
}  # fmt: skip
_FEWEST_POINTS = {"polygon": 3, "linestrip": 2, "points": 1}
_REMEDY = "Save it again in LabelMe, or remove it."


def read(found: Annotations) -> None:
    """Read the JSON files of a folder; the classes in `labels.txt`, if it exists, come first."""
    labels = found.folder / "labels.txt"
    if labels.is_file():
        for name in read_text(labels, _REMEDY).splitlines():
            if name.strip() and name.strip() != IGNORE:
                found.add_class(name.strip())
    files = {}
    for path in annotation_files(found.source, "*.json"):
        content = read_json(path, _REMEDY)
        if isinstance(content.get("shapes"), list) and "imagePath" in content:
            # Keep only the start of the embedded image, which identifies its format.
            head = str(content.pop("imageData", None) or "")[:8]
            files[path] = content, head
        else:
            found.skipped["JSON files that are not LabelMe's"] += 1
    names = {_label(shape, path) for path, (c, _) in files.items() for shape in _shapes(c)}
    for name in sorted(names - {IGNORE}):
        found.add_class(name)
    for path, (content, head) in files.items():
        size = tuple(check_number(content.get(k), path, k) for k in ("imageHeight", "imageWidth"))
        shapes = [s for shape in _shapes(content) if (s := _checked(shape, path, found))]
        suffix = ".png" if head.startswith(_PNG) else ".jpg"
        found.add(
            path,
            str(content["imagePath"]),
            size,
            functools.partial(_regions, shapes, size),
            split_of(*path.relative_to(found.folder).parts[:-1]),
            (functools.partial(_embedded_image, path), suffix) if head else None,
        )
    found.skip_unused_images()


def _shapes(content):
    return [shape for shape in content["shapes"] if isinstance(shape, dict)]


def _label(shape, path):
    label = shape.get("label")
    if not isinstance(label, str):
        raise ValueError(f"{path}: a shape has no label. Received: {label!r}. {_REMEDY}")
    return label


def _checked(shape, path, found):
    """Return (class or None to ignore, type, points, mask) of a shape; None if it is skipped."""
    kind = str(shape.get("shape_type") or "polygon")
    if kind not in _NUM_POINTS and kind not in _FEWEST_POINTS:
        found.skipped[f"shapes of the unknown type {kind!r}"] += 1
        return None
    points = check_points(shape.get("points"), path)
    if len(points) < _FEWEST_POINTS.get(kind, 0):
        found.skipped[f"{kind} shapes with {len(points)} points"] += 1
        return None
    if len(points) != _NUM_POINTS.get(kind, len(points)):
        raise ValueError(
            f"{path}: a {kind} must have {_NUM_POINTS[kind]} points. Received: {len(points)}. "
            f"{_REMEDY}"
        )
    mask = None
    if kind == "mask":
        content = _decode_base64(shape.get("mask"), path)
        mask = np.asarray(decode(content, f"a mask in {path}").convert("L")) > 0
    label = _label(shape, path)
    return None if label == IGNORE else found.add_class(label), kind, points, mask


def _regions(shapes, size):
    for label, kind, points, mask in shapes:
        if mask is None:
            yield label, _rasterise(kind, points, size)
        else:  # The points are two corners of the mask's box.
            (left, top), _ = np.array(points).astype(int)
            yield label, paste(mask, left, top, size)


def _rasterise(kind: str, points: list[tuple[float, float]], size: Size) -> np.ndarray:
    """Return the pixels of a shape, bool [H, W].

    >>> _rasterise("rectangle", [(1, 0), (2, 1)], (2, 4)).astype(int).tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0]]
    """
    from PIL import Image, ImageDraw

    pil_image = Image.new("L", size[::-1])
    draw = ImageDraw.Draw(pil_image)
    if kind in ("polygon", "oriented_rectangle"):
        draw.polygon(points, fill=1, outline=1)
    elif kind in ("line", "linestrip"):
        draw.line(points, fill=1, width=_LINE_WIDTH)
    elif kind == "rectangle":
        corners = np.array(points)
        draw.rectangle((*corners.min(axis=0), *corners.max(axis=0)), fill=1, outline=1)
    else:
        radius = math.dist(*points) if kind == "circle" else _POINT_RADIUS
        for x, y in points[:1] if kind == "circle" else points:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1, outline=1)
    return np.asarray(pil_image, bool)


def _embedded_image(path: Path) -> bytes:
    return _decode_base64(read_json(path, _REMEDY)["imageData"], path)


def _decode_base64(text, path) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        problem = f"has an embedded image or mask that cannot be decoded. {_REMEDY}"
        raise ImageFileError(path, [problem]) from error
