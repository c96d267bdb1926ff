"""The two export formats of Roboflow that contain masks."""

import numpy as np
import pytest
from PIL import Image

SIZE = (20, 30)
SQUARE = [[2.0, 2.0, 12.0, 2.0, 12.0, 12.0, 2.0, 12.0]]


def test_coco_segmentation(write, converted):
    for split in ("train", "valid"):
        write(f"{split}/a_jpg.rf.1.jpg", Image.new("RGB", SIZE[::-1]))
        write(
            f"{split}/_annotations.coco.json",
            {
                "images": [{"id": 0, "file_name": "a_jpg.rf.1.jpg", "height": 20, "width": 30}],
                "categories": [
                    {"id": 0, "name": "fruit", "supercategory": "none"},
                    {"id": 1, "name": "apple", "supercategory": "fruit"},
                    {"id": 2, "name": "pear", "supercategory": "fruit"},
                ],
                "annotations": [{"id": 0, "image_id": 0, "category_id": 2, "segmentation": SQUARE}],
            },
        )
    done, masks = converted("roboflow")
    assert done.class_names == ("background", "apple", "pear")
    assert done.num_images == {"train": 1, "val": 1}
    assert (masks["val/a_jpg.rf.1"] == 2).sum() == 100


def test_semantic_segmentation_masks(write, converted):
    mask = np.random.default_rng(0).integers(0, 3, SIZE, "uint8")
    for split in ("train", "valid", "test"):
        write(f"{split}/a.jpg", Image.new("RGB", SIZE[::-1]))
        write(f"{split}/a_mask.png", Image.fromarray(mask))
        write(f"{split}/._a_mask.png", b"\0\5\x16\7")
        table = "Pixel Value, Class\n0, background\n1, apple\n2, pear\n"
        write(f"{split}/_classes.csv", table.encode("utf-8-sig"))
    done, masks = converted("roboflow")
    assert done.class_names == ("background", "apple", "pear")
    assert done.num_images == {"test": 1, "train": 1, "val": 1}
    np.testing.assert_array_equal(masks["test/a"], mask)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("data.yaml", "names: []", "neither _annotations.coco.json nor _classes.csv. Export"),
        ("_classes.csv", "Pixel Value, Class\nzero, a\n", "a row must be a pixel value"),
        ("_classes.csv", b"Value, Class\n0, a\xe9\n", "_classes.csv is damaged: it is not UTF-8"),
    ],
)
def test_mistakes(write, converted, name, text, message):
    write(name, text)
    with pytest.raises(ValueError, match=message):
        converted("roboflow")
