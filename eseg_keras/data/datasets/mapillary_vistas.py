"""Mapillary Vistas: streets of the whole world, v1.2 with 65 classes and v2.0 with 123.

The last label of each, `void--unlabeled`, is ignored; other texts count it as the 66th or 124th
class. Class ids are the label ids of the files. The archive of v2.0 holds the labels of v1.2 too.

Eight labels of v2.0 (the four ambiguous ones, the three groups and `void--unlabeled`) are marked
`"evaluate": false` in the archive. All but the last are classes here; the benchmark's own score
excludes them.

Reference:

- [The Mapillary Vistas Dataset for Semantic Understanding of Street Scenes](
    https://openaccess.thecvf.com/content_iccv_2017/html/Neuhold_The_Mapillary_Vistas_ICCV_2017_paper.html)
- [Homepage and download](https://www.mapillary.com/dataset/vistas)
"""

from eseg_keras.data.datasets.mapillary_labels import LABELS_V1_2, LABELS_V2_0, MapillaryLabel
from eseg_keras.data.datasets.metadata import IGNORE_LABEL, ClassTable, Description, Layout, Split

LABELS = {"mapillary_vistas": LABELS_V1_2, "mapillary_vistas_v2": LABELS_V2_0}
"""{name of the data set: its labels in the order of their ids, `void--unlabeled` last}."""

CONFIG_FILES = {
    "mapillary_vistas": ("config_v1.2.json", "config.json"),
    "mapillary_vistas_v2": ("config_v2.0.json",),
}
"""{name of the data set: files of its archive that may list the labels, best first}."""


def _classes(labels: tuple[MapillaryLabel, ...]) -> ClassTable:
    return ClassTable(
        {label.readable: label.color for label in labels[:-1]},
        {index: index for index in range(len(labels) - 1)} | {len(labels) - 1: IGNORE_LABEL},
    )


def _layout(labels: str) -> Layout:
    return Layout(
        {
            "train": Split(18000, "training/images", f"training/{labels}"),
            "validation": Split(2000, "validation/images", f"validation/{labels}"),
        }
    )


_COMMON = {
    "homepage": "https://www.mapillary.com/dataset/vistas",
    "license": "Terms accepted at the download: https://www.mapillary.com/dataset/vistas",
}

V1_2 = Description(
    name="mapillary_vistas",
    title="Mapillary Vistas v1.2",
    classes=_classes(LABELS_V1_2),
    layouts=(_layout("v1.2/labels"), _layout("labels")),
    archives=("mapillary-vistas-dataset_public_v1.2.zip (it may have another name)",),
    **_COMMON,
)

V2_0 = Description(
    name="mapillary_vistas_v2",
    title="Mapillary Vistas v2.0",
    classes=_classes(LABELS_V2_0),
    layouts=(_layout("v2.0/labels"),),
    archives=("mapillary-vistas-dataset_public_v2.0.zip (it may have another name)",),
    **_COMMON,
)
