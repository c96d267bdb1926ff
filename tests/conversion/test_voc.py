"""Folders in Pascal VOC format: VOC itself, and the exports of CVAT and LabelMe."""

import numpy as np
import pytest
from PIL import Image

from eseg_keras.visualization import label_image

MASK = np.repeat([[0, 1, 2, 255]], 6, axis=0).repeat(3, axis=1).astype("uint8")
COLORS = ((9, 9, 9), (250, 50, 50), (50, 250, 50))
LABELMAP = (
    "# label:color_rgb:parts:actions\nbackground:9,9,9::\nleaf:250,50,50::\nstem:50,250,50::\n"
)


def add(write, name, mask, root="VOC2012/"):
    write(f"{root}JPEGImages/{name}.jpg", Image.new("RGB", MASK.shape[::-1]))
    write(f"{root}SegmentationClass/{name}.png", mask)


def test_the_classes_and_splits_of_voc(write, converted):
    for name in ("2007_000032", "2007 000033", "2007_000039"):
        add(write, name, label_image(MASK))
    write("VOC2012/ImageSets/Segmentation/train.txt", "2007_000032\n")
    write("VOC2012/ImageSets/Segmentation/val.txt", "2007 000033\n")
    write("VOC2012/ImageSets/Segmentation/trainval.txt", "2007_000032\n2007 000033\n2007_000039\n")
    done, masks = converted("voc")
    assert done.class_names[:3] == ("background", "aeroplane", "bicycle")
    assert (len(done.class_names), done.palette[1]) == (21, (128, 0, 0))
    assert done.num_images == {"train": 1, "val": 1}
    assert done.skipped == {"masks that are in no list of ImageSets": 1}
    np.testing.assert_array_equal(masks["val/2007 000033"], MASK)


@pytest.mark.parametrize("mode", ["RGB", "P", "L"])
def test_the_label_map_of_cvat(write, converted, mode):
    """RGB and palette masks contain colours of labelmap.txt, grey masks ids."""
    mask = MASK % 255
    picture = Image.fromarray(mask)
    if mode == "RGB":
        picture = Image.fromarray(np.array(COLORS, "uint8")[mask])
    elif mode == "P":  # Palette indices in another order than the classes.
        picture = Image.fromarray(2 - mask)
        picture.putpalette([*COLORS[2], *COLORS[1], *COLORS[0]])
    add(write, "a", picture, root="")
    write("labelmap.txt", LABELMAP.encode("utf-8-sig"))  # With a byte order mark.
    done, masks = converted("voc")
    assert done.class_names == ("background", "leaf", "stem")
    assert done.palette == COLORS
    np.testing.assert_array_equal(masks["a"], mask)


def test_the_class_names_of_labelme(write, converted):
    add(write, "a", label_image(MASK))
    write("VOC2012/class_names.txt", "_background_\nleaf\n\nstem\n".encode("utf-8-sig"))
    done, masks = converted("voc")
    assert done.class_names == ("background", "leaf", "stem")
    np.testing.assert_array_equal(masks["a"], MASK)


def test_the_mask_is_never_taken_for_its_image(write, converted):
    write("SegmentationClass/a.png", label_image(MASK))
    with pytest.raises(ValueError, match="the image is not in"):
        converted("voc")


@pytest.mark.parametrize(
    ("names", "mask", "message"),
    [
        ({"class_names.txt": "background\nleaf\n"}, MASK, "has the value 2, which is not a class"),
        ({"labelmap.txt": "background:0,0\n"}, MASK, "labelmap.txt: a line must be NAME:RED"),
        ({"labelmap.txt": LABELMAP}, np.dstack([MASK] * 3), r"has the value \(0, 0, 0\)"),
    ],
)
def test_mistakes_name_the_file(write, converted, names, mask, message):
    add(write, "a", Image.fromarray(mask), root="")
    for name, text in names.items():
        write(name, text)
    with pytest.raises(ValueError, match=message):
        converted("voc")


def test_there_is_one_folder_of_masks(write, converted):
    for root in ("VOC2007/", "VOC2012/"):
        add(write, "a", label_image(MASK), root)
    with pytest.raises(ValueError, match="must contain one mask folder, SegmentationClass"):
        converted("voc")
