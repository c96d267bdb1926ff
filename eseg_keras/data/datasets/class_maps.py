"""Class maps from one data set to another."""

from fnmatch import fnmatchcase

import numpy as np

from eseg_keras.data.datasets import cityscapes
from eseg_keras.data.datasets.mapillary_vistas import LABELS
from eseg_keras.data.datasets.metadata import IGNORE_LABEL, look_up

# {Cityscapes class: patterns for the names of its labels in Mapillary Vistas}. The class map
# follows the class definitions of https://www.cityscapes-dataset.com/dataset-overview/:
# - the road includes its markings, lanes that are separated only by markings, and (our choice)
#   potholes;
# - the sidewalk includes its curb, pedestrian areas and the walkable part of traffic islands;
# - a traffic sign is the front side of an official sign: no backs, frames or advertisements;
# - soil and sand are terrain; a group of persons is labelled as person;
# - all other labels are ignored: labels that Cityscapes ignores (parking, rail track, bridge,
#   tunnel, guard rail, pole group, caravan, trailer), labels without a class in Cityscapes (water,
#   snow, mountain, street furniture), and ambiguous labels (a street light may be part of its pole,
#   a group of vehicles may contain any vehicle).
_MAPILLARY_NAMES = {
    "road": (
        "construction--flat--road",
        "construction--flat--road-shoulder",
        "construction--flat--service-lane",
        "construction--flat--bike-lane",
        "construction--flat--crosswalk-plain",
        "marking*",
        "object--pothole",
    ),
    "sidewalk": (
        "construction--flat--sidewalk",
        "construction--flat--pedestrian-area",
        "construction--flat--curb-cut",
        "construction--flat--traffic-island",
        "construction--barrier--curb",
    ),
    "building": ("construction--structure--building", "construction--structure--garage"),
    "wall": ("construction--barrier--wall",),
    "fence": ("construction--barrier--fence",),
    "pole": ("object--support--pole", "object--support--utility-pole"),
    "traffic light": ("object--traffic-light*",),
    "traffic sign": (
        "object--traffic-sign--front",
        "object--traffic-sign--direction-front",
        "object--traffic-sign--temporary-front",
        "object--traffic-sign--information-parking",
    ),
    "vegetation": ("nature--vegetation",),
    "terrain": ("nature--terrain", "nature--sand"),
    "sky": ("nature--sky",),
    "person": ("human--person*",),
    "rider": ("human--rider--*",),
    "car": ("object--vehicle--car",),
    "truck": ("object--vehicle--truck",),
    "bus": ("object--vehicle--bus",),
    "train": ("object--vehicle--on-rails",),
    "motorcycle": ("object--vehicle--motorcycle",),
    "bicycle": ("object--vehicle--bicycle",),
}


def mapillary_to_cityscapes(name: str = "mapillary_vistas") -> np.ndarray:
    """Return the class map from Mapillary Vistas to Cityscapes.

    Args:
        name: `"mapillary_vistas"` (v1.2) or `"mapillary_vistas_v2"` (v2.0), as for `load`.

    Returns:
        uint8 array [256]: the Cityscapes class id for each Mapillary Vistas class id; 255 (ignored)
        for classes that correspond to no class of Cityscapes, or not to a single one. Index it with
        a mask to map the mask; 255 stays 255.

    Raises:
        ValueError: If there is no such version.

    Example:

    >>> from eseg_keras.data.datasets import DATASETS, mapillary_to_cityscapes
    >>> table = mapillary_to_cityscapes("mapillary_vistas")
    >>> car = DATASETS["mapillary_vistas"]["train"].classes.class_names.index("Car")
    >>> DATASETS["cityscapes"]["train"].classes.class_names[table[car]]
    'car'
    """
    labels = look_up(LABELS, name, f"There is no version {name!r} of Mapillary Vistas.")
    table = np.full(256, IGNORE_LABEL, np.uint8)
    for class_id, city_name in enumerate(cityscapes.CLASSES.class_names):
        for index, label in enumerate(labels):
            if any(fnmatchcase(label.name, wanted) for wanted in _MAPILLARY_NAMES[city_name]):
                table[index] = class_id
    return table
