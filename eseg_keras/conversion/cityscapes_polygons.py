"""The polygons of Cityscapes: `*_gtFine_polygons.json`.

Polygons are filled with Pillow in the order of the file, as in cityscapesscripts. The masks have
the 19 classes of the benchmark; all other labels are ignored.

Reference:
    [cityscapesscripts](https://github.com/mcordts/cityscapesScripts)
"""

import functools

import numpy as np

from eseg_keras.conversion.annotations import (
    Annotations,
    annotation_files,
    check_number,
    check_points,
    split_of,
)
from eseg_keras.data.datasets.cityscapes import CLASSES
from eseg_keras.files import read_json

# Labels that the benchmark ignores. Licence plates are not drawn: their pixels belong to the car.
_IGNORED = {
    "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground",
    "parking", "rail track", "guard rail", "bridge", "tunnel", "polegroup", "caravan", "trailer",
}  # fmt: skip
_NOT_DRAWN = "license plate"
_REMEDY = "Unpack the archive of the annotations again."


def read(found: Annotations) -> None:
    """Read the polygons of a folder; coarse annotations are skipped if there are fine ones."""
    found.has_background = False
    for name, color in CLASSES.colors.items():
        found.add_class(name, color)
    paths = list(annotation_files(found.source, "*_polygons.json"))
    fine = [path for path in paths if not path.stem.endswith("_gtCoarse_polygons")]
    if fine and len(fine) < len(paths):
        found.skipped["coarse annotations"] += len(paths) - len(fine)
    for path in fine or paths:
        content = read_json(path, _REMEDY, {"objects": list})
        size = tuple(check_number(content.get(k), path, k) for k in ("imgHeight", "imgWidth"))
        shapes = [shape for o in content["objects"] if (shape := _shape(o, path, found))]
        stem = (
            path.stem.rpartition("_polygons")[0].removesuffix("_gtFine").removesuffix("_gtCoarse")
        )
        split = split_of(*path.relative_to(found.folder).parts)
        found.add(
            path, f"{stem}_leftImg8bit.png", size, functools.partial(_regions, shapes, size), split
        )


def _shape(entry, path, found):
    """Return (class or None to ignore, points) of a polygon; None if it is not drawn."""
    if not isinstance(entry, dict) or not isinstance(entry.get("label"), str):
        raise ValueError(
            f"{path}: an object must have a label. Received: {str(entry)[:80]}. {_REMEDY}"
        )
    label = entry["label"]
    known = {*found.class_names, *_IGNORED, _NOT_DRAWN}
    if label not in known:
        label = label.removesuffix("group")
    if label not in known:
        raise ValueError(
            f"{path}: {label!r} is not a label of Cityscapes. Rename it to one of the labels: "
            f"{', '.join(sorted(known))}."
        )
    if entry.get("deleted") or label == _NOT_DRAWN:
        return None
    points = check_points(entry.get("polygon"), path)
    return (None if label in _IGNORED else label), points


def _regions(shapes, size):
    from PIL import Image, ImageDraw

    for label, points in shapes:
        pil_image = Image.new("L", size[::-1])
        ImageDraw.Draw(pil_image).polygon(points, fill=1)
        yield label, np.asarray(pil_image, bool)
