"""Damaged annotation files are converted or raise ValueError, nothing else."""

import copy
import json

import pytest
from PIL import Image

from eseg_keras.conversion import convert

SQUARE = [2.0, 2.0, 12.0, 2.0, 12.0, 12.0]
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "height": 20, "width": 30}],
    "categories": [{"id": 1, "name": "cat", "color": [1, 2, 3], "supercategory": "x"}],
    "annotations": [
        {"image_id": 1, "category_id": 1, "segmentation": [SQUARE]},
        {
            "image_id": 1,
            "category_id": 1,
            "segmentation": {"size": [20, 30], "counts": [100, 50, 450]},
        },
    ],
}
LABELME = {
    "imagePath": "a.png",
    "imageHeight": 20,
    "imageWidth": 30,
    "imageData": None,
    "shapes": [{"label": "cat", "shape_type": "circle", "points": [[9, 9], [12, 9]]}],
}
CITYSCAPES = {
    "imgHeight": 20,
    "imgWidth": 30,
    "objects": [{"label": "sky", "polygon": [[1, 2], [9, 3], [5, 9]], "deleted": 0}],
}
FILES = {
    "coco": ("a.json", COCO),
    "labelme": ("a.json", LABELME),
    "cityscapes-polygons": ("a_gtFine_polygons.json", CITYSCAPES),
}


def places(value):
    """Yield the path of keys to every nested value."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield (key,)
        if isinstance(value[key], dict | list):
            yield from ((key, *rest) for rest in places(value[key]))


def damaged(content):
    for place in places(content):
        for value in ("missing", None, [1], "x", -1e400):
            copied = copy.deepcopy(content)
            inside = copied
            for key in place[:-1]:
                inside = inside[key]
            if value == "missing":
                del inside[place[-1]]
            else:
                inside[place[-1]] = value
            yield copied


@pytest.mark.parametrize("format", FILES)
def test_no_value_ends_in_a_traceback(tmp_path, format):
    name, content = FILES[format]
    for image in ("a.png", "a_leftImg8bit.png"):
        Image.new("RGB", (30, 20)).save(tmp_path / image)
    refused = 0
    for number, copied in enumerate(damaged(content)):
        (tmp_path / name).write_text(json.dumps(copied))
        output = tmp_path.with_name(f"{tmp_path.name}_{number}")
        try:
            convert(format, tmp_path, output, verbose=False)
        except ValueError:
            refused += 1
            assert not output.exists()
    assert refused > 20
