"""Rasterise polygons and run-length encodings with COCO's own library, pycocotools."""

from collections.abc import Sequence

import numpy as np

from eseg_keras.conversion.annotations import Size
from eseg_keras.optional import require


def polygon_pixels(polygons: Sequence[Sequence[float]], size: Size) -> np.ndarray:
    """Return the union of polygons [x, y, x, y, ...], bool [H, W]."""
    coco = require("pycocotools.mask", "convert")
    return coco.decode(coco.merge(coco.frPyObjects([list(p) for p in polygons], *size))) > 0


def rle_pixels(counts: str | Sequence[int], size: Size) -> np.ndarray:
    """Return the pixels of COCO's column-wise run-length encoding, bool [H, W].

    `counts` are the lengths of alternating runs of zeros and ones, or COCO's compressed string.
    """
    coco = require("pycocotools.mask", "convert")
    if isinstance(counts, str):
        return coco.decode({"size": list(size), "counts": counts}) > 0
    return coco.decode(coco.frPyObjects({"size": list(size), "counts": list(counts)}, *size)) > 0
