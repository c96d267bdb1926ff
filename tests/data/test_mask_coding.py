"""Detection of how masks encode classes, for every kind of mask."""

import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eseg_keras.data import ImageFileError, open_folders
from eseg_keras.data.mask_coding import find_mask_coding

RED, GREEN, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 0)


def grey(*values):
    return Image.fromarray(np.array([values], "uint8"))


def palette(*values):
    image = grey(*values).convert("P")
    image.putpalette([*BLACK, *RED, *GREEN])
    return image


def colors(*values):
    return Image.fromarray(np.array([values], "uint8"))


@pytest.mark.parametrize(
    ("masks", "num_classes", "class_map", "mask_colors", "description"),
    [
        ([grey(0, 1), grey(2, 0)], 3, None, None, "class ids 0 to 2"),
        ([grey(0, 1, 255)], 2, None, None, "class ids 0 to 1; 255 is ignored"),
        ([palette(0, 2), palette(1, 1)], 3, None, None, "class ids 0 to 2"),
        ([grey(0, 0), grey(255, 0)], 2, {255: 1}, None, "black and white"),
        ([grey(7, 38), grey(255, 75)], 3, {7: 0, 38: 1, 75: 2}, None, "mapped to class ids 0 to 2"),
        ([colors(RED, BLACK), colors(GREEN, RED)], 3, None, (BLACK, GREEN, RED), "3 colours"),
    ],
    ids=["ids", "ignored", "palette", "black and white", "gaps", "colours"],
)
def test_coding(tmp_path, masks, num_classes, class_map, mask_colors, description):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    paths = []
    for index, mask in enumerate(masks):
        paths.append(tmp_path / "masks" / f"{index}.png")
        mask.save(paths[-1])
        Image.new("RGB", mask.size).save(tmp_path / "images" / f"{index}.png")
    coding = find_mask_coding(paths)
    assert (coding.num_classes, coding.class_map, coding.mask_colors) == (
        num_classes,
        class_map,
        mask_colors,
    )
    assert description in coding.description
    # The detected arguments read these masks, and every class occurs.
    examples = open_folders(
        tmp_path / "images",
        tmp_path / "masks",
        num_classes=num_classes,
        class_map=class_map,
        mask_colors=mask_colors,
    )
    assert (examples.class_counts > 0).all()


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (grey(*range(150)), ValueError, "150 different values.*smoothed"),
        (grey(1, 1), ValueError, "All masks have one class"),
        (grey(0, 0), ValueError, "a model cannot be trained"),
        (grey(255, 255), ValueError, "All masks have one class"),
        (colors(RED, RED), ValueError, "All masks have one class"),
    ],
)
def test_masks_that_teach_nothing(tmp_path, mask, error, message):
    mask.save(tmp_path / "mask.png")
    with pytest.raises(error, match=message):
        find_mask_coding([tmp_path / "mask.png"])


def test_photos_instead_of_masks_are_noticed_at_the_first(tmp_path, monkeypatch):
    counted = []

    def count(path):
        counted.append(path)
        time.sleep(0.01)
        return Counter(range(101))

    monkeypatch.setattr("eseg_keras.data.mask_coding.count_ids", count)
    paths = [Path(f"{number}.png") for number in range(1000)]
    with pytest.raises(ValueError, match="^0.png: the masks up to this one have 101 different"):
        find_mask_coding(paths)
    assert len(counted) < 100


def test_a_damaged_mask_is_named(tmp_path):
    grey(0, 1).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(ImageFileError, match="b.png"):
        find_mask_coding([tmp_path / "a.png", tmp_path / "b.png"])


@pytest.mark.parametrize(
    ("values", "num_classes", "found"),
    [
        ((0, 2), 4, (4, None)),
        ((0, 1, 255), 3, (3, None)),
        # There are as many classes as ids, so ids with gaps are mapped.
        ((0, 2), 2, (2, {0: 0, 2: 1})),
        ((0, 5), 4, (2, {0: 0, 5: 1})),
    ],
)
def test_classes_that_never_occur(tmp_path, values, num_classes, found):
    grey(*values).save(tmp_path / "mask.png")
    coding = find_mask_coding([tmp_path / "mask.png"], num_classes)
    assert (coding.num_classes, coding.class_map) == found
