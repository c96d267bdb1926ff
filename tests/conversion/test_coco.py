"""Files in COCO format, compared with the masks of pycocotools."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from eseg_keras.conversion.coco import _run_lengths

SIZE = (40, 60)
TRIANGLE = [3.5, 2.0, 30.2, 8.8, 12.1, 30.0]
SQUARE = [40.0, 5.0, 50.0, 5.0, 50.0, 15.0, 40.0, 15.0]


def ring():
    pixels = np.zeros(SIZE, np.uint8)
    pixels[10:30, 20:45] = 1
    pixels[15:25, 28:36] = 0  # A hole.
    return pixels


def ring_counts():
    flat = ring().ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    return np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()


def annotation(id, category, segmentation, **more):
    return {"id": id, "image_id": 7, "category_id": category, "segmentation": segmentation, **more}


def file_of(annotations, file_name="a.jpg", **changes):
    content = {
        "images": [{"id": 7, "file_name": file_name, "height": SIZE[0], "width": SIZE[1]}],
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "car", "color": [1, 2, 3]}],
        "annotations": annotations,
    }
    return {**content, **changes}


@pytest.fixture
def image(write):
    return write("images/a.jpg", Image.new("RGB", SIZE[::-1]))


def test_masks_equal_pycocotools(write, converted, image):
    compressed = coco_mask.encode(np.asfortranarray(ring()))
    objects = [
        annotation(1, 3, [TRIANGLE, SQUARE]),
        annotation(2, 18, {"size": list(SIZE), "counts": ring_counts()}),
        annotation(3, 3, {"size": list(SIZE), "counts": compressed["counts"].decode()}),
        annotation(4, 18, [[33.0, 1.0, 59.0, 1.0, 59.0, 39.0]]),
    ]
    path = write("annotations.json", file_of(objects))
    done, masks = converted("coco")
    assert done.class_names == ("background", "car", "dog")
    assert done.palette == ((0, 0, 0), (1, 2, 3), (0, 128, 0))
    official = COCO(path)
    expected = np.zeros(SIZE, np.uint8)
    for entry in official.loadAnns(official.getAnnIds(imgIds=[7])):
        expected[official.annToMask(entry) > 0] = {3: 1, 18: 2}[entry["category_id"]]
    np.testing.assert_array_equal(masks["a"], expected)
    assert masks["a"][20, 31] == 0  # The hole.


def test_crowds_are_ignored_below_everything_else(write, converted, image):
    crowd = {"size": list(SIZE), "counts": ring_counts()}
    objects = [annotation(1, 3, [[0, 0, 59, 0, 59, 12, 0, 12]]), annotation(2, 3, crowd, iscrowd=1)]
    write("annotations.json", file_of(objects))
    _, masks = converted("coco")
    assert masks["a"][[11, 20, 35], [22, 22, 22]].tolist() == [1, 255, 0]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["instances_train2017", "instances_val2017", "captions"], {"train", "val"}),
        (
            ["train/a", "valid/a", "test/a"],
            {"train", "val", "test"},
        ),
        (["a"], {""}),
    ],
)
def test_splits_are_found_in_the_names(write, converted, names, splits):
    for index, name in enumerate(names):
        write(f"images/{index}.jpg", Image.new("RGB", SIZE[::-1]))
        content = file_of([annotation(1, 3, [SQUARE])], f"{index}.jpg")
        write(f"{name}.json", {} if name == "captions" else content)
    done, masks = converted("coco")
    assert set(done.num_images) == splits
    assert len(masks) == len(splits)


def test_classes_are_chosen_and_others_are_drawn_as_background(write, converted, image):
    objects = [annotation(1, 18, [SQUARE]), annotation(2, 3, [[45, 0, 59, 0, 59, 39, 45, 39]])]
    write("annotations.json", file_of(objects))
    done, masks = converted("coco", class_names=["dog"])
    assert done.class_names == ("background", "dog")
    assert masks["a"][10, [0, 42, 47]].tolist() == [0, 1, 0]


def test_without_a_background(write, converted, image):
    write("annotations.json", file_of([annotation(1, 18, [SQUARE])]))
    done, masks = converted("coco", background=False)
    assert done.class_names == ("car", "dog")
    assert masks["a"][10, [0, 42]].tolist() == [255, 1]


def test_shapes_named_background_are_a_class_if_they_are_chosen(write, converted, image, tmp_path):
    content = file_of([annotation(1, 18, [SQUARE]), annotation(2, 5, [TRIANGLE])])
    content["categories"].append({"id": 5, "name": "background"})
    write("annotations.json", content)
    done, masks = converted("coco", background=False, class_names=("dog", "background"))
    assert done.class_names == ("dog", "background")
    assert masks["a"][[0, 10, 10], [0, 42, 15]].tolist() == [255, 0, 1]


def test_boxes_and_specks_are_counted(write, converted, image):
    objects = [annotation(1, 3, [], bbox=[0, 0, 9, 9]), annotation(2, 3, [[0, 0, 9, 9]])]
    write("annotations.json", file_of([*objects, annotation(3, 3, [SQUARE])]))
    done, masks = converted("coco")
    assert (masks["a"] > 0).sum() == 100
    assert done.skipped == {
        "objects with a box only": 1, "polygons with fewer than 3 points": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (file_of([annotation(1, 99, [SQUARE])]), "annotations.json: an annotation must have the"),
        (file_of([annotation(1, 3, [["x"] * 6])]), "annotation 1 must be polygons"),
        (file_of([annotation(1, 3, [[0.0] * 7])]), "annotation 1 must be polygons"),
        (
            file_of([annotation(1, 3, {"size": [40, 60], "counts": [5]})]),
            "annotation 1 has counts that do not add up to its image",
        ),
        (
            file_of([annotation(1, 3, {"size": [60, 40], "counts": [2400]})]),
            r"annotation 1 must have the size of its image, \[40, 60\]. Received: \[60, 40\]",
        ),
        (file_of([{"segments_info": [], "category_id": 3}]), "panoptic segments"),
        (
            file_of([], categories=[{"id": 1}]),
            "each of the categories must have the fields id and name",
        ),
        (
            file_of([], images=[{"id": 7, "height": 4, "width": 6}]),
            "each of the images must have the fields id and file_name",
        ),
        (file_of([{"image_id": [7], "category_id": 3}]), "each of the annotations must have"),
        (file_of([annotation(1, 3, 1.5)]), "annotation 1 must be polygons"),
        (file_of([], "b.jpg"), "b.jpg of .*annotations.json"),
        ({"images": []}, "has no annotated image of the format coco: skipped 1 JSON files"),
    ],
)
def test_mistakes_name_the_file_and_leave_nothing(
    write, converted, image, tmp_path, content, message
):
    write("annotations.json", content)
    with pytest.raises(ValueError, match=message):
        converted("coco")
    assert not (tmp_path / "data").exists()


def test_compressed_runs_must_fill_the_image(write, converted, image):
    """pycocotools leaves pixels beyond the last run uninitialized."""
    small = coco_mask.encode(np.asfortranarray(ring()[:, :50]))["counts"].decode()
    whole = coco_mask.encode(np.asfortranarray(ring()))["counts"].decode()
    for counts in (small, whole[:-1], whole[:-2], ""):
        shape = {"size": list(SIZE), "counts": counts}
        write("annotations.json", file_of([annotation(1, 3, shape)]))
        with pytest.raises(ValueError, match="annotation 1 has counts that do not add up"):
            converted("coco")


@given(st.lists(st.integers(0, 70_000), min_size=1))
def test_compressed_runs_are_those_of_pycocotools(runs):
    text = coco_mask.frPyObjects({"size": [sum(runs), 1], "counts": runs}, sum(runs), 1)["counts"]
    assert _run_lengths(text.decode()) == runs


def test_a_text_that_is_no_run_length_encoding(write, converted, image):
    broken = {"size": list(SIZE), "counts": "ggggggggggggg"}
    write("annotations.json", file_of([annotation(1, 3, broken)]))
    with pytest.raises(ValueError, match="counts that do not add up"):
        converted("coco")
