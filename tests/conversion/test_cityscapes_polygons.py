"""Polygons of Cityscapes, compared with the masks that cityscapesscripts draws."""

import json

import numpy as np
import pytest
from cityscapesscripts.helpers.annotation import Annotation
from cityscapesscripts.preparation.json2labelImg import createLabelImage
from PIL import Image

from eseg_keras.data.datasets.cityscapes import CLASSES

SIZE = (64, 128)


def polygon(label, *points, **more):
    return {"label": label, "polygon": [list(point) for point in points], **more}


def file_of(objects):
    return {"imgHeight": SIZE[0], "imgWidth": SIZE[1], "objects": objects}


def add(write, name, objects, kind="gtFine"):
    split, _, stem = name.rpartition("/")
    write(f"leftImg8bit/{split}/{stem}_leftImg8bit.png", Image.new("RGB", SIZE[::-1]))
    return write(f"{kind}/{split}/{stem}_{kind}_polygons.json", file_of(objects))


def test_masks_equal_cityscapesscripts(write, converted):
    objects = [
        polygon("sky", (0, 0), (127, 0), (127, 30), (0, 30)),
        polygon("road", (0, 30), (127, 31), (140, 63), (-5, 70)),
        polygon("cargroup", (20, 20), (60, 24), (55, 50), (18, 47)),
        polygon("license plate", (30, 30), (40, 30), (40, 36), (30, 36)),
        polygon("static", (90, 10), (110, 12), (100, 60)),
        polygon("person", (70, 20), (80, 20), (80, 40), (70, 40), deleted=1),
        polygon("out of roi", (0, 60), (127, 60), (127, 63), (0, 63)),
    ]
    path = add(write, "train/bochum/bochum_000000_000000", objects)
    add(write, "val/ulm/ulm_000000_000000", objects[:1])
    done, masks = converted("cityscapes-polygons")
    assert done.class_names == CLASSES.class_names
    assert done.palette == CLASSES.palette
    assert done.num_images == {"train": 1, "val": 1}
    annotation = Annotation()
    annotation.fromJsonText(json.dumps(json.loads(path.read_text())))
    expected = np.asarray(createLabelImage(annotation, "trainIds"))
    assert {0, 10, 13, 255} == set(np.unique(expected).tolist())
    mask = masks["train/bochum_000000_000000_leftImg8bit"]
    np.testing.assert_array_equal(mask, expected)


def test_fine_annotations_are_preferred(write, converted):
    sky = polygon("sky", (0, 0), (9, 0), (9, 9))
    add(write, "train/a", [sky])
    add(write, "train/a", [sky], kind="gtCoarse")
    done, _ = converted("cityscapes-polygons")
    assert done.num_images == {"train": 1} and done.skipped == {"coarse annotations": 1}


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([polygon("cat", (0, 0), (9, 0), (9, 9))], "'cat' is not a label of Cityscapes"),
        ([{"polygon": []}], "an object must have a label"),
        ([{"label": "sky", "polygon": [[1]]}], "the points of a shape"),
    ],
)
def test_mistakes_name_the_file(write, converted, objects, message):
    add(write, "train/a", objects)
    with pytest.raises(ValueError, match=f"a_gtFine_polygons.json: {message}"):
        converted("cityscapes-polygons")


def test_missing_images_are_listed(write, converted):
    write("gtFine/test/b_gtFine_polygons.json", file_of([]))
    with pytest.raises(ValueError, match="b_leftImg8bit.png of .*b_gtFine_polygons.json"):
        converted("cityscapes-polygons")
