"""The labels of Mapillary Vistas: colour, name and readable name, in the order of their ids.

Reference:

- [The archives' own `config.json` and `config_v2.0.json`](https://www.mapillary.com/dataset/vistas)
- [Readable names and colours of both versions, as MMSegmentation lists them](
    https://github.com/open-mmlab/mmsegmentation/blob/main/mmseg/utils/class_names.py)
"""

from typing import NamedTuple

from eseg_keras.data.datasets.metadata import Color


class MapillaryLabel(NamedTuple):
    """A label: name with groups (`"object--vehicle--car"`), readable name (`"Car"`), colour."""

    name: str
    readable: str
    color: Color


def _labels(text: str) -> tuple[MapillaryLabel, ...]:
    labels = []
    for line in text.strip().splitlines():
        key, readable = line.split(" = ")
        color, name = key.split()
        labels.append(MapillaryLabel(name, readable, tuple(bytes.fromhex(color))))
    return tuple(labels)


LABELS_V1_2 = _labels(
    """
a52a2a animal--bird = Bird
00c000 animal--ground-animal = Ground Animal
c4c4c4 construction--barrier--curb = Curb
be9999 construction--barrier--fence = Fence
b4a5b4 construction--barrier--guard-rail = Guard Rail
5a7896 construction--barrier--other-barrier = Barrier
66669c construction--barrier--wall = Wall
8040ff construction--flat--bike-lane = Bike Lane
8c8cc8 construction--flat--crosswalk-plain = Crosswalk - Plain
aaaaaa construction--flat--curb-cut = Curb Cut
faaaa0 construction--flat--parking = Parking
606060 construction--flat--pedestrian-area = Pedestrian Area
e6968c construction--flat--rail-track = Rail Track
804080 construction--flat--road = Road
6e6e6e construction--flat--service-lane = Service Lane
f423e8 construction--flat--sidewalk = Sidewalk
966464 construction--structure--bridge = Bridge
464646 construction--structure--building = Building
96785a construction--structure--tunnel = Tunnel
dc143c human--person = Person
ff0000 human--rider--bicyclist = Bicyclist
ff0064 human--rider--motorcyclist = Motorcyclist
ff00c8 human--rider--other-rider = Other Rider
c88080 marking--crosswalk-zebra = Lane Marking - Crosswalk
ffffff marking--general = Lane Marking - General
40aa40 nature--mountain = Mountain
e6a032 nature--sand = Sand
4682b4 nature--sky = Sky
beffff nature--snow = Snow
98fb98 nature--terrain = Terrain
6b8e23 nature--vegetation = Vegetation
00aa1e nature--water = Water
ffff80 object--banner = Banner
fa001e object--bench = Bench
648cb4 object--bike-rack = Bike Rack
dcdcdc object--billboard = Billboard
dc8080 object--catch-basin = Catch Basin
de2828 object--cctv-camera = CCTV Camera
64aa1e object--fire-hydrant = Fire Hydrant
282828 object--junction-box = Junction Box
212121 object--mailbox = Mailbox
6480a0 object--manhole = Manhole
8e0000 object--phone-booth = Phone Booth
466496 object--pothole = Pothole
d2aa64 object--street-light = Street Light
999999 object--support--pole = Pole
808080 object--support--traffic-sign-frame = Traffic Sign Frame
000050 object--support--utility-pole = Utility Pole
faaa1e object--traffic-light = Traffic Light
c0c0c0 object--traffic-sign--back = Traffic Sign (Back)
dcdc00 object--traffic-sign--front = Traffic Sign (Front)
8c8c14 object--trash-can = Trash Can
770b20 object--vehicle--bicycle = Bicycle
9600ff object--vehicle--boat = Boat
003c64 object--vehicle--bus = Bus
00008e object--vehicle--car = Car
00005a object--vehicle--caravan = Caravan
0000e6 object--vehicle--motorcycle = Motorcycle
005064 object--vehicle--on-rails = On Rails
804040 object--vehicle--other-vehicle = Other Vehicle
00006e object--vehicle--trailer = Trailer
000046 object--vehicle--truck = Truck
0000c0 object--vehicle--wheeled-slow = Wheeled Slow
202020 void--car-mount = Car Mount
780a0a void--ego-vehicle = Ego Vehicle
000000 void--unlabeled = Unlabeled
"""
)

LABELS_V2_0 = _labels(
    """
a52a2a animal--bird = Bird
00c000 animal--ground-animal = Ground Animal
faaa1f construction--barrier--ambiguous = Ambiguous Barrier
faaa20 construction--barrier--concrete-block = Concrete Block
c4c4c4 construction--barrier--curb = Curb
be9999 construction--barrier--fence = Fence
b4a5b4 construction--barrier--guard-rail = Guard Rail
5a7896 construction--barrier--other-barrier = Barrier
faaa21 construction--barrier--road-median = Road Median
faaa22 construction--barrier--road-side = Road Side
808080 construction--barrier--separator = Lane Separator
faaa23 construction--barrier--temporary = Temporary Barrier
66669c construction--barrier--wall = Wall
8040ff construction--flat--bike-lane = Bike Lane
8c8cc8 construction--flat--crosswalk-plain = Crosswalk - Plain
aaaaaa construction--flat--curb-cut = Curb Cut
faaa24 construction--flat--driveway = Driveway
faaaa0 construction--flat--parking = Parking
faaa25 construction--flat--parking-aisle = Parking Aisle
606060 construction--flat--pedestrian-area = Pedestrian Area
e6968c construction--flat--rail-track = Rail Track
804080 construction--flat--road = Road
6e6e6e construction--flat--road-shoulder = Road Shoulder
6e6e6e construction--flat--service-lane = Service Lane
f423e8 construction--flat--sidewalk = Sidewalk
80c480 construction--flat--traffic-island = Traffic Island
966464 construction--structure--bridge = Bridge
464646 construction--structure--building = Building
969696 construction--structure--garage = Garage
96785a construction--structure--tunnel = Tunnel
dc143c human--person--individual = Person
dc143c human--person--person-group = Person Group
ff0000 human--rider--bicyclist = Bicyclist
ff0064 human--rider--motorcyclist = Motorcyclist
ff00c8 human--rider--other-rider = Other Rider
ffffff marking--continuous--dashed = Lane Marking - Dashed Line
ffffff marking--continuous--solid = Lane Marking - Straight Line
faaa1d marking--continuous--zigzag = Lane Marking - Zigzag Line
faaa1c marking--discrete--ambiguous = Lane Marking - Ambiguous
faaa1a marking--discrete--arrow--left = Lane Marking - Arrow (Left)
faaa19 marking--discrete--arrow--other = Lane Marking - Arrow (Other)
faaa18 marking--discrete--arrow--right = Lane Marking - Arrow (Right)
faaa16 marking--discrete--arrow--split-left-or-straight = Lane Marking - Arrow (Split Left or Straight)
faaa15 marking--discrete--arrow--split-right-or-straight = Lane Marking - Arrow (Split Right or Straight)
faaa14 marking--discrete--arrow--straight = Lane Marking - Arrow (Straight)
ffffff marking--discrete--crosswalk-zebra = Lane Marking - Crosswalk
faaa13 marking--discrete--give-way-row = Lane Marking - Give Way (Row)
faaa12 marking--discrete--give-way-single = Lane Marking - Give Way (Single)
faaa0c marking--discrete--hatched--chevron = Lane Marking - Hatched (Chevron)
faaa0b marking--discrete--hatched--diagonal = Lane Marking - Hatched (Diagonal)
ffffff marking--discrete--other-marking = Lane Marking - Other
ffffff marking--discrete--stop-line = Lane Marking - Stop Line
faaa10 marking--discrete--symbol--bicycle = Lane Marking - Symbol (Bicycle)
faaa0f marking--discrete--symbol--other = Lane Marking - Symbol (Other)
faaa0f marking--discrete--text = Lane Marking - Text
ffffff marking-only--continuous--dashed = Lane Marking (only) - Dashed Line
ffffff marking-only--discrete--crosswalk-zebra = Lane Marking (only) - Crosswalk
ffffff marking-only--discrete--other-marking = Lane Marking (only) - Other
ffffff marking-only--discrete--text = Lane Marking (only) - Test
40aa40 nature--mountain = Mountain
e6a032 nature--sand = Sand
4682b4 nature--sky = Sky
beffff nature--snow = Snow
98fb98 nature--terrain = Terrain
6b8e23 nature--vegetation = Vegetation
00aa1e nature--water = Water
ffff80 object--banner = Banner
fa001e object--bench = Bench
648cb4 object--bike-rack = Bike Rack
dc8080 object--catch-basin = Catch Basin
de2828 object--cctv-camera = CCTV Camera
64aa1e object--fire-hydrant = Fire Hydrant
282828 object--junction-box = Junction Box
212121 object--mailbox = Mailbox
6480a0 object--manhole = Manhole
1414ff object--parking-meter = Parking Meter
8e0000 object--phone-booth = Phone Booth
466496 object--pothole = Pothole
faab1e object--sign--advertisement = Signage - Advertisement
faac1e object--sign--ambiguous = Signage - Ambiguous
faad1e object--sign--back = Signage - Back
faae1e object--sign--information = Signage - Information
faaf1e object--sign--other = Signage - Other
fab01e object--sign--store = Signage - Store
d2aa64 object--street-light = Street Light
999999 object--support--pole = Pole
999999 object--support--pole-group = Pole Group
808080 object--support--traffic-sign-frame = Traffic Sign Frame
000050 object--support--utility-pole = Utility Pole
d23c3c object--traffic-cone = Traffic Cone
faaa1e object--traffic-light--general-single = Traffic Light - General (Single)
faaa1e object--traffic-light--pedestrians = Traffic Light - Pedestrians
faaa1e object--traffic-light--general-upright = Traffic Light - General (Upright)
faaa1e object--traffic-light--general-horizontal = Traffic Light - General (Horizontal)
faaa1e object--traffic-light--cyclists = Traffic Light - Cyclists
faaa1e object--traffic-light--other = Traffic Light - Other
c0c0c0 object--traffic-sign--ambiguous = Traffic Sign - Ambiguous
c0c0c0 object--traffic-sign--back = Traffic Sign (Back)
c0c0c0 object--traffic-sign--direction-back = Traffic Sign - Direction (Back)
dcdc00 object--traffic-sign--direction-front = Traffic Sign - Direction (Front)
dcdc00 object--traffic-sign--front = Traffic Sign (Front)
0000c4 object--traffic-sign--information-parking = Traffic Sign - Parking
c0c0c0 object--traffic-sign--temporary-back = Traffic Sign - Temporary (Back)
dcdc00 object--traffic-sign--temporary-front = Traffic Sign - Temporary (Front)
8c8c14 object--trash-can = Trash Can
770b20 object--vehicle--bicycle = Bicycle
9600ff object--vehicle--boat = Boat
003c64 object--vehicle--bus = Bus
00008e object--vehicle--car = Car
00005a object--vehicle--caravan = Caravan
0000e6 object--vehicle--motorcycle = Motorcycle
005064 object--vehicle--on-rails = On Rails
804040 object--vehicle--other-vehicle = Other Vehicle
00006e object--vehicle--trailer = Trailer
000046 object--vehicle--truck = Truck
00008e object--vehicle--vehicle-group = Vehicle Group
0000c0 object--vehicle--wheeled-slow = Wheeled Slow
aaaaaa object--water-valve = Water Valve
202020 void--car-mount = Car Mount
6f4a00 void--dynamic = Dynamic
780a0a void--ego-vehicle = Ego Vehicle
510051 void--ground = Ground
6f6f00 void--static = Static
000000 void--unlabeled = Unlabeled
"""  # noqa: E501
)
