"""Cityscapes: 19 classes of German streets.

Reference:

- [The Cityscapes Dataset for Semantic Urban Scene Understanding](
    https://arxiv.org/abs/1604.01685)
- [Names, ids and colours of the labels](
    https://github.com/mcordts/cityscapesScripts/blob/master/cityscapesscripts/helpers/labels.py)
"""

from eseg_keras.data.datasets.metadata import IGNORE_LABEL, ClassTable, Description, Layout, Split

COLORS = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (0, 60, 100),
    "train": (0, 80, 100),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
}

LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""Label of each class in the `labelIds` files, and in a submission to the server."""

# A file holds 0 to 33, and 255 where -1 (license plate) was written into 8 bits.
FILE_LABELS = dict.fromkeys([*range(34), 255], IGNORE_LABEL) | {
    label: class_id for class_id, label in enumerate(LABEL_IDS)
}

CLASSES = ClassTable(COLORS, FILE_LABELS)

_COMMON = {
    "name": "cityscapes",
    "title": "Cityscapes",
    "classes": CLASSES,
    "homepage": "https://www.cityscapes-dataset.com/downloads/",
    "license": "Non-commercial, no redistribution: https://www.cityscapes-dataset.com/license/",
}

FINE = Description(
    layouts=(
        Layout(
            {
                "train": Split(2975, "leftImg8bit/train", "gtFine/train"),
                "validation": Split(500, "leftImg8bit/val", "gtFine/val"),
                "test": Split(1525, "leftImg8bit/test", "gtFine/test"),
            }
        ),
    ),
    archives=("leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip"),
    **_COMMON,
)

COARSE = Description(
    layouts=(
        Layout(
            {
                "train": Split(2975, "leftImg8bit/train", "gtCoarse/train"),
                "validation": Split(500, "leftImg8bit/val", "gtCoarse/val"),
                "train_extra": Split(19998, "leftImg8bit/train_extra", "gtCoarse/train_extra"),
            }
        ),
    ),
    archives=("leftImg8bit_trainvaltest.zip", "leftImg8bit_trainextra.zip", "gtCoarse.zip"),
    **_COMMON,
)
