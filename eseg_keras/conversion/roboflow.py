"""Roboflow: exports as "COCO Segmentation" or "Semantic Segmentation Masks".

Reference:
    [Roboflow's export formats](https://roboflow.com/formats)
"""

import csv
from pathlib import Path

from eseg_keras.conversion import coco
from eseg_keras.conversion.annotations import Annotations, annotation_files, split_of
from eseg_keras.conversion.voc import add_mask
from eseg_keras.files import read_text

_COCO, _CLASSES, _MASK = "_annotations.coco.json", "_classes.csv", "_mask.png"
_REMEDY = 'Export the data set as "COCO Segmentation" or "Semantic Segmentation Masks".'


def read(found: Annotations) -> None:
    """Read an export, which has one or more of the folders train, valid and test."""
    files = list(annotation_files(found.source, _COCO))
    if files:
        coco.read_files(found, files, drop_supercategories=True)
        return
    tables = list(annotation_files(found.source, _CLASSES))
    if not tables:
        raise ValueError(f"{found.source} contains neither {_COCO} nor {_CLASSES}. {_REMEDY}")
    for table in tables:
        ids = {value: found.add_class(name) for value, name in _read_classes(table).items()}
        split = split_of(*reversed(table.relative_to(found.folder).parts))
        for mask in annotation_files(table.parent, f"*{_MASK}"):
            image = mask.with_name(mask.name.removesuffix(_MASK))
            add_mask(found, mask, image, ids, split=split)


def _read_classes(table: Path) -> dict[int, str]:
    """Return {pixel value: class} from `_classes.csv`, whose header is "Pixel Value, Class"."""
    lines = read_text(table, _REMEDY).splitlines()
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines) if row]
    try:
        return {int(value): name for value, name in rows[1:]}
    except ValueError:
        raise ValueError(f"{table}: a row must be a pixel value and a class. {_REMEDY}") from None
