"""Cityscapes: streets in Germany and neighbouring countries, with 19 classes.

Reference:

- [The Cityscapes Dataset for Semantic Urban Scene Understanding](
    https://arxiv.org/abs/1604.01685)
- [Names, ids and colours of the labels](
    https://github.com/mcordts/cityscapesScripts/blob/master/cityscapesscripts/helpers/labels.py)
"""

import hashlib

from eseg_keras.data.datasets.metadata import IGNORE_LABEL, ClassTable, Description, Layout, Split

LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""Label of each class in the `labelIds` files, and in submissions to the benchmark server."""

# The files contain labels 0 to 33. License plates have the label -1, which is 255 as an 8-bit
# number.
_FILE_LABELS = dict.fromkeys([*range(34), 255], IGNORE_LABEL) | {
    label: class_id for class_id, label in enumerate(LABEL_IDS)
}

CLASSES = ClassTable.from_text(
    """
road 804080, sidewalk f423e8, building 464646, wall 66669c, fence be9999, pole 999999,
traffic light faaa1e, traffic sign dcdc00, vegetation 6b8e23, terrain 98fb98, sky 4682b4,
person dc143c, rider ff0000, car 00008e, truck 000046, bus 003c64, train 005064, motorcycle 0000e6,
bicycle 770b20
""",
    _FILE_LABELS,
)


def order(split: str, name: str) -> str:
    """Return the sort key that tensorflow-datasets uses for the examples of Cityscapes."""
    return hashlib.md5(f"{split}{name}".encode(), usedforsecurity=False).hexdigest()


_COMMON = {
    "name": "cityscapes",
    "title": "Cityscapes",
    "classes": CLASSES,
    "homepage": "https://www.cityscapes-dataset.com/downloads/",
    "license": "Non-commercial, no redistribution: https://www.cityscapes-dataset.com/license/",
    "order": order,
}

FINE = Description(
    layouts=(
        Layout(
            {
                "train": Split(2975, "leftImg8bit/train", "gtFine/train"),
                "validation": Split(500, "leftImg8bit/val", "gtFine/val"),
                "test": Split(1525, "leftImg8bit/test", "gtFine/test"),
            },
            image_suffix="_leftImg8bit",
            mask_suffix="_gtFine_labelIds",
            has_two_roots=True,
        ),
    ),
    archives=("leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip"),
    config="semantic_segmentation",
    **_COMMON,
)

COARSE = Description(
    layouts=(
        Layout(
            {
                "train": Split(2975, "leftImg8bit/train", "gtCoarse/train"),
                "validation": Split(500, "leftImg8bit/val", "gtCoarse/val"),
                "train_extra": Split(19998, "leftImg8bit/train_extra", "gtCoarse/train_extra"),
            },
            image_suffix="_leftImg8bit",
            mask_suffix="_gtCoarse_labelIds",
            has_two_roots=True,
        ),
    ),
    archives=("leftImg8bit_trainvaltest.zip", "leftImg8bit_trainextra.zip", "gtCoarse.zip"),
    config="semantic_segmentation_extra",
    **_COMMON,
)
