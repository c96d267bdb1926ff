"""Mapillary Vistas: streets around the world; 65 classes (v1.2) or 123 (v2.0).

The last label of each version, `void--unlabeled`, is ignored; some publications count it as the
66th or 124th class. Class ids are the label ids in the files. The archive of v2.0 also contains the
labels of v1.2.

Eight labels of v2.0 (the four ambiguous ones, the three groups and `void--unlabeled`) are marked
`"evaluate": false` in the archive, and excluded from the benchmark's official score. Except for
`void--unlabeled`, they are classes here.

Reference:

- [The Mapillary Vistas Dataset for Semantic Understanding of Street Scenes](
    https://openaccess.thecvf.com/content_iccv_2017/html/Neuhold_The_Mapillary_Vistas_ICCV_2017_paper.html)
- [Homepage and download](https://www.mapillary.com/dataset/vistas): the archives list the labels in
    `config.json` and `config_v2.0.json`
- [Readable names and colours of both versions, as MMSegmentation lists them](
    https://github.com/open-mmlab/mmsegmentation/blob/main/mmseg/utils/class_names.py)
"""

import json
from typing import NamedTuple

from eseg_keras.data.datasets.metadata import IGNORE_LABEL, ClassTable, Description, Layout, Split


class MapillaryLabel(NamedTuple):
    """A label: full name (`"object--vehicle--car"`), readable name (`"Car"`) and colour."""

    name: str
    readable: str
    color: tuple[int, int, int]


# Versions, colour, name and readable name of each label, in the order of the ids.
_TABLE = """
both a52a2a animal--bird = Bird
both 00c000 animal--ground-animal = Ground Animal
v2.0 faaa1f construction--barrier--ambiguous = Ambiguous Barrier
v2.0 faaa20 construction--barrier--concrete-block = Concrete Block
both c4c4c4 construction--barrier--curb = Curb
both be9999 construction--barrier--fence = Fence
both b4a5b4 construction--barrier--guard-rail = Guard Rail
both 5a7896 construction--barrier--other-barrier = Barrier
v2.0 faaa21 construction--barrier--road-median = Road Median
v2.0 faaa22 construction--barrier--road-side = Road Side
v2.0 808080 construction--barrier--separator = Lane Separator
v2.0 faaa23 construction--barrier--temporary = Temporary Barrier
both 66669c construction--barrier--wall = Wall
both 8040ff construction--flat--bike-lane = Bike Lane
both 8c8cc8 construction--flat--crosswalk-plain = Crosswalk - Plain
both aaaaaa construction--flat--curb-cut = Curb Cut
v2.0 faaa24 construction--flat--driveway = Driveway
both faaaa0 construction--flat--parking = Parking
v2.0 faaa25 construction--flat--parking-aisle = Parking Aisle
both 606060 construction--flat--pedestrian-area = Pedestrian Area
both e6968c construction--flat--rail-track = Rail Track
both 804080 construction--flat--road = Road
v2.0 6e6e6e construction--flat--road-shoulder = Road Shoulder
both 6e6e6e construction--flat--service-lane = Service Lane
both f423e8 construction--flat--sidewalk = Sidewalk
v2.0 80c480 construction--flat--traffic-island = Traffic Island
both 966464 construction--structure--bridge = Bridge
both 464646 construction--structure--building = Building
v2.0 969696 construction--structure--garage = Garage
both 96785a construction--structure--tunnel = Tunnel
v1.2 dc143c human--person = Person
v2.0 dc143c human--person--individual = Person
v2.0 dc143c human--person--person-group = Person Group
both ff0000 human--rider--bicyclist = Bicyclist
both ff0064 human--rider--motorcyclist = Motorcyclist
both ff00c8 human--rider--other-rider = Other Rider
v1.2 c88080 marking--crosswalk-zebra = Lane Marking - Crosswalk
v1.2 ffffff marking--general = Lane Marking - General
v2.0 ffffff marking--continuous--dashed = Lane Marking - Dashed Line
v2.0 ffffff marking--continuous--solid = Lane Marking - Straight Line
v2.0 faaa1d marking--continuous--zigzag = Lane Marking - Zigzag Line
v2.0 faaa1c marking--discrete--ambiguous = Lane Marking - Ambiguous
v2.0 faaa1a marking--discrete--arrow--left = Lane Marking - Arrow (Left)
v2.0 faaa19 marking--discrete--arrow--other = Lane Marking - Arrow (Other)
v2.0 faaa18 marking--discrete--arrow--right = Lane Marking - Arrow (Right)
v2.0 faaa16 marking--discrete--arrow--split-left-or-straight = Lane Marking - Arrow (Split Left or Straight)
v2.0 faaa15 marking--discrete--arrow--split-right-or-straight = Lane Marking - Arrow (Split Right or Straight)
v2.0 faaa14 marking--discrete--arrow--straight = Lane Marking - Arrow (Straight)
v2.0 ffffff marking--discrete--crosswalk-zebra = Lane Marking - Crosswalk
v2.0 faaa13 marking--discrete--give-way-row = Lane Marking - Give Way (Row)
v2.0 faaa12 marking--discrete--give-way-single = Lane Marking - Give Way (Single)
v2.0 faaa0c marking--discrete--hatched--chevron = Lane Marking - Hatched (Chevron)
v2.0 faaa0b marking--discrete--hatched--diagonal = Lane Marking - Hatched (Diagonal)
v2.0 ffffff marking--discrete--other-marking = Lane Marking - Other
v2.0 ffffff marking--discrete--stop-line = Lane Marking - Stop Line
v2.0 faaa10 marking--discrete--symbol--bicycle = Lane Marking - Symbol (Bicycle)
v2.0 faaa0f marking--discrete--symbol--other = Lane Marking - Symbol (Other)
v2.0 faaa0f marking--discrete--text = Lane Marking - Text
v2.0 ffffff marking-only--continuous--dashed = Lane Marking (only) - Dashed Line
v2.0 ffffff marking-only--discrete--crosswalk-zebra = Lane Marking (only) - Crosswalk
v2.0 ffffff marking-only--discrete--other-marking = Lane Marking (only) - Other
v2.0 ffffff marking-only--discrete--text = Lane Marking (only) - Test
both 40aa40 nature--mountain = Mountain
both e6a032 nature--sand = Sand
both 4682b4 nature--sky = Sky
both beffff nature--snow = Snow
both 98fb98 nature--terrain = Terrain
both 6b8e23 nature--vegetation = Vegetation
both 00aa1e nature--water = Water
both ffff80 object--banner = Banner
both fa001e object--bench = Bench
both 648cb4 object--bike-rack = Bike Rack
v1.2 dcdcdc object--billboard = Billboard
both dc8080 object--catch-basin = Catch Basin
both de2828 object--cctv-camera = CCTV Camera
both 64aa1e object--fire-hydrant = Fire Hydrant
both 282828 object--junction-box = Junction Box
both 212121 object--mailbox = Mailbox
both 6480a0 object--manhole = Manhole
v2.0 1414ff object--parking-meter = Parking Meter
both 8e0000 object--phone-booth = Phone Booth
both 466496 object--pothole = Pothole
v2.0 faab1e object--sign--advertisement = Signage - Advertisement
v2.0 faac1e object--sign--ambiguous = Signage - Ambiguous
v2.0 faad1e object--sign--back = Signage - Back
v2.0 faae1e object--sign--information = Signage - Information
v2.0 faaf1e object--sign--other = Signage - Other
v2.0 fab01e object--sign--store = Signage - Store
both d2aa64 object--street-light = Street Light
both 999999 object--support--pole = Pole
v2.0 999999 object--support--pole-group = Pole Group
both 808080 object--support--traffic-sign-frame = Traffic Sign Frame
both 000050 object--support--utility-pole = Utility Pole
v1.2 faaa1e object--traffic-light = Traffic Light
v2.0 d23c3c object--traffic-cone = Traffic Cone
v2.0 faaa1e object--traffic-light--general-single = Traffic Light - General (Single)
v2.0 faaa1e object--traffic-light--pedestrians = Traffic Light - Pedestrians
v2.0 faaa1e object--traffic-light--general-upright = Traffic Light - General (Upright)
v2.0 faaa1e object--traffic-light--general-horizontal = Traffic Light - General (Horizontal)
v2.0 faaa1e object--traffic-light--cyclists = Traffic Light - Cyclists
v2.0 faaa1e object--traffic-light--other = Traffic Light - Other
v2.0 c0c0c0 object--traffic-sign--ambiguous = Traffic Sign - Ambiguous
both c0c0c0 object--traffic-sign--back = Traffic Sign (Back)
v2.0 c0c0c0 object--traffic-sign--direction-back = Traffic Sign - Direction (Back)
v2.0 dcdc00 object--traffic-sign--direction-front = Traffic Sign - Direction (Front)
both dcdc00 object--traffic-sign--front = Traffic Sign (Front)
v2.0 0000c4 object--traffic-sign--information-parking = Traffic Sign - Parking
v2.0 c0c0c0 object--traffic-sign--temporary-back = Traffic Sign - Temporary (Back)
v2.0 dcdc00 object--traffic-sign--temporary-front = Traffic Sign - Temporary (Front)
both 8c8c14 object--trash-can = Trash Can
both 770b20 object--vehicle--bicycle = Bicycle
both 9600ff object--vehicle--boat = Boat
both 003c64 object--vehicle--bus = Bus
both 00008e object--vehicle--car = Car
both 00005a object--vehicle--caravan = Caravan
both 0000e6 object--vehicle--motorcycle = Motorcycle
both 005064 object--vehicle--on-rails = On Rails
both 804040 object--vehicle--other-vehicle = Other Vehicle
both 00006e object--vehicle--trailer = Trailer
both 000046 object--vehicle--truck = Truck
v2.0 00008e object--vehicle--vehicle-group = Vehicle Group
both 0000c0 object--vehicle--wheeled-slow = Wheeled Slow
v2.0 aaaaaa object--water-valve = Water Valve
both 202020 void--car-mount = Car Mount
v2.0 6f4a00 void--dynamic = Dynamic
both 780a0a void--ego-vehicle = Ego Vehicle
v2.0 510051 void--ground = Ground
v2.0 6f6f00 void--static = Static
both 000000 void--unlabeled = Unlabeled
"""  # noqa: E501


def _labels(version: str) -> tuple[MapillaryLabel, ...]:
    labels = []
    for line in _TABLE.strip().splitlines():
        key, readable = line.split(" = ")
        versions, color, name = key.split()
        if versions in (version, "both"):
            labels.append(MapillaryLabel(name, readable, tuple(bytes.fromhex(color))))
    return tuple(labels)


LABELS = {"mapillary_vistas": _labels("v1.2"), "mapillary_vistas_v2": _labels("v2.0")}
"""{name of the data set: its labels in the order of their ids, `void--unlabeled` last}."""


def _description(
    name: str, version: str, label_folders: tuple[str, ...], config_files: tuple[str, ...]
) -> Description:
    labels = LABELS[name]

    def check(root):
        """Raise ValueError if the first config file that exists lists other labels."""
        config = next((root / file for file in config_files if (root / file).exists()), None)
        if config is None:
            return
        try:
            found = [str(label["name"]) for label in json.loads(config.read_bytes())["labels"]]
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise ValueError(
                f"{config} is damaged: it does not list the labels. Unpack the archive again"
            ) from error
        expected = [label.name for label in labels]
        if found != expected:
            differences = sorted(set(found) ^ set(expected)) or "another order"
            raise ValueError(
                f"{config} does not list the labels of Mapillary Vistas {version}: expected "
                f"{len(expected)} labels, found {len(found)}; difference: {differences}. Check "
                "the version of the archive"
            )

    file_labels = {index: index for index in range(len(labels) - 1)}
    return Description(
        name=name,
        title=f"Mapillary Vistas {version}",
        classes=ClassTable(
            {label.readable: label.color for label in labels[:-1]},
            file_labels | {len(labels) - 1: IGNORE_LABEL},
        ),
        layouts=tuple(
            Layout(
                {
                    "train": Split(18000, "training/images", f"training/{folder}"),
                    "validation": Split(2000, "validation/images", f"validation/{folder}"),
                }
            )
            for folder in label_folders
        ),
        archives=(f"mapillary-vistas-dataset_public_{version}.zip (the name may differ)",),
        homepage="https://www.mapillary.com/dataset/vistas",
        license="Terms are accepted at the download: https://www.mapillary.com/dataset/vistas",
        check=check,
    )


V1_2 = _description(
    "mapillary_vistas", "v1.2", ("v1.2/labels", "labels"), ("config_v1.2.json", "config.json")
)
V2_0 = _description("mapillary_vistas_v2", "v2.0", ("v2.0/labels",), ("config_v2.0.json",))
