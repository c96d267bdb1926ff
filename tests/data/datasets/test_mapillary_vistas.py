import json

import numpy as np
import pytest
from PIL import Image

from eseg_keras.data.datasets import DATASETS, load, mapillary_to_cityscapes
from eseg_keras.data.datasets.mapillary_vistas import LABELS

NAMES = ["mapillary_vistas", "mapillary_vistas_v2"]
KEYS = {"training": ["_-1xBpzLKsd3jx1h7GjQSg", "0035fkbjWljhaftpVM37-g"], "validation": ["__z"]}


def labels_of(name, key):
    """Return a mask with every label, in random order."""
    rng = np.random.default_rng([len(key), len(LABELS[name])])
    return rng.permutation(np.resize(np.arange(len(LABELS[name])), 10 * 16)).reshape(10, 16)


def config(name):
    return json.dumps(
        {
            "labels": [
                {
                    "color": list(label.color),
                    "instances": False,
                    "readable": label.readable,
                    "name": label.name,
                    "evaluate": True,
                }
                for label in LABELS[name]
            ],
            "version": "1.2",
            "mapping": "public",
            "folder_structure": "{split}/{content}/{key:.{22}}.{ext}",
        }
    ).encode()


def common_files(image_bytes):
    files = {"LICENSE": b"terms", "README": b"Mapillary Vistas", "testing/images/t.jpg": b"photo"}
    for split, keys in KEYS.items():
        for key in keys:
            photo = np.full((10, 16, 3), 200, np.uint8)
            files[f"{split}/images/{key}.jpg"] = image_bytes(photo, "JPEG")
    return files


def label_files(name, folder, palette_png, image_bytes):
    files = {}
    colors = [label.color for label in LABELS[name]]
    for split, keys in KEYS.items():
        for key in keys:
            labels = labels_of(name, key).astype(np.uint8)
            files[f"{split}/{folder}/labels/{key}.png"] = palette_png(labels, colors)
            instances = image_bytes(labels.astype(np.uint16) * 256)
            files[f"{split}/{folder}/instances/{key}.png"] = instances
    return files


@pytest.fixture
def archives(palette_png, image_bytes):
    """Files of the v1.2 archive, and of the v2.0 archive, which has the labels of both versions."""
    first = common_files(image_bytes) | {"config.json": config(NAMES[0])}
    for path, content in label_files(NAMES[0], "", palette_png, image_bytes).items():
        first[path.replace("//", "/")] = content
    second = common_files(image_bytes)
    for name, version in zip(NAMES, ("v1.2", "v2.0"), strict=True):
        second[f"config_{version}.json"] = config(name)
        second |= label_files(name, version, palette_png, image_bytes)
    return {"v1.2": first, "v2.0": second}


@pytest.mark.parametrize(
    "name, archive", [(NAMES[0], "v1.2"), (NAMES[0], "v2.0"), (NAMES[1], "v2.0")]
)
@pytest.mark.parametrize("target", ["An_o5cmHOsS1VbLdaKx.zip", "mapillary"])
def test_both_splits(tmp_path, archives, write_files, name, archive, target):
    write_files(tmp_path / "downloads/manual" / target, archives[archive])
    # The label files are palette PNGs, so the test fails if colours are read instead of labels.
    content = (
        archives[archive]["training/v2.0/labels/0035fkbjWljhaftpVM37-g.png"]
        if (name == NAMES[1])
        else next(value for path, value in archives[archive].items() if "labels" in path)
    )
    assert content[25] == 3  # The colour type of the PNG: palette.
    for split, keys in zip(("train", "validation"), KEYS.values(), strict=True):
        examples = load(name, split, tmp_path)
        assert [examples.name(index) for index in range(len(examples))] == sorted(keys)
        for index, key in enumerate(sorted(keys)):
            image, mask = examples.read(index)
            labels = labels_of(name, key)
            np.testing.assert_array_equal(
                mask, np.where(labels == len(LABELS[name]) - 1, 255, labels)
            )
            assert image.shape == (10, 16, 3)


def test_v1_2_has_no_labels_of_v2_0(tmp_path, archives, write_files):
    write_files(tmp_path / "downloads/manual/mapillary.zip", archives["v1.2"])
    with pytest.raises(FileNotFoundError, match=r"vistas-dataset_public_v2\.0\.zip"):
        load(NAMES[1], "train", tmp_path)


def test_another_list_of_labels_is_refused(tmp_path, archives, write_files):
    labels = json.loads(archives["v1.2"]["config.json"])
    labels["labels"].insert(3, {"name": "object--balloon"})
    archives["v1.2"]["config.json"] = json.dumps(labels).encode()
    write_files(tmp_path / "downloads/manual/mapillary.zip", archives["v1.2"])
    with pytest.raises(
        ValueError, match="expected 66 labels, found 67; difference: .*object--balloon"
    ):
        load(NAMES[0], "train", tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"[]", b"{}", b'{"labels": 3}', b'{"labels": [{"color": 1}]}', b"[" * 99999],
)
def test_a_damaged_list_of_labels_is_named(tmp_path, archives, write_files, content):
    write_files(tmp_path, archives["v1.2"] | {"config.json": content})
    with pytest.raises(ValueError, match=f"^{tmp_path}/config.json is damaged: it does not list"):
        load(NAMES[0], "train", tmp_path)


@pytest.mark.parametrize("name, count", [(NAMES[0], 66), (NAMES[1], 124)])
def test_labels(name, count):
    labels = LABELS[name]
    assert len(labels) == len({label.name for label in labels}) == count
    assert len({label.readable for label in labels}) == count
    assert labels[-1].name == "void--unlabeled"
    classes = DATASETS[name]["train"].classes
    assert len(classes.class_names) == count - 1
    assert classes.class_names[-1] == ("Static" if count == 124 else "Ego Vehicle")


def test_the_versions_agree_where_they_share_a_label():
    v1, v2 = ({label.name: label for label in LABELS[name]} for name in NAMES)
    shared = set(v1) & set(v2)
    assert len(shared) == 61
    for name in shared:
        assert v1[name] == v2[name]


# The class map by readable names of v1.2, written independently of the package.
TO_CITYSCAPES = {
    "road": ["Road", "Service Lane", "Bike Lane", "Crosswalk - Plain", "Lane Marking - Crosswalk",
             "Lane Marking - General", "Pothole"],
    "sidewalk": ["Sidewalk", "Curb", "Curb Cut", "Pedestrian Area"],
    "building": ["Building"],
    "wall": ["Wall"],
    "fence": ["Fence"],
    "pole": ["Pole", "Utility Pole"],
    "traffic light": ["Traffic Light"],
    "traffic sign": ["Traffic Sign (Front)"],
    "vegetation": ["Vegetation"],
    "terrain": ["Terrain", "Sand"],
    "sky": ["Sky"],
    "person": ["Person"],
    "rider": ["Bicyclist", "Motorcyclist", "Other Rider"],
    "car": ["Car"],
    "truck": ["Truck"],
    "bus": ["Bus"],
    "train": ["On Rails"],
    "motorcycle": ["Motorcycle"],
    "bicycle": ["Bicycle"],
}  # fmt: skip


def test_mapillary_to_cityscapes():
    names = DATASETS[NAMES[0]]["train"].classes.class_names
    cities = DATASETS["cityscapes"]["train"].classes.class_names
    expected = {name: city for city, names in TO_CITYSCAPES.items() for name in names}
    table = mapillary_to_cityscapes(NAMES[0])
    assert {name: cities[c] for name, c in zip(names, table, strict=False) if c != 255} == expected
    assert (table[len(names) :] == 255).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_class_of_cityscapes_is_reached(name):
    assert set(mapillary_to_cityscapes(name).tolist()) == {*range(19), 255}


def test_a_mask_is_mapped_by_indexing():
    mask = np.array([[13, 255], [55, 0]], np.uint8)  # Road, ignored, car, bird.
    mapped = mapillary_to_cityscapes()[mask]
    np.testing.assert_array_equal(mapped, [[0, 255], [13, 255]])


def test_the_versions_map_the_same_names_alike():
    tables = [mapillary_to_cityscapes(name) for name in NAMES]
    v1, v2 = (
        {label.name: int(table[index]) for index, label in enumerate(LABELS[name])}
        for name, table in zip(NAMES, tables, strict=True)
    )
    for name in set(v1) & set(v2):
        assert v1[name] == v2[name]
    assert v2["human--person--person-group"] == 11
    assert v2["object--traffic-sign--back"] == v2["object--vehicle--vehicle-group"] == 255


def test_unknown_version():
    with pytest.raises(ValueError, match="Nearest names: mapillary_vistas_v2"):
        mapillary_to_cityscapes("mapillary_vistas_v3")


def test_palette_files_are_what_pillow_calls_p(palette_png):
    import io

    labels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    picture = Image.open(io.BytesIO(palette_png(labels, [(9, 9, 9)] * 6)))
    assert picture.mode == "P"
    np.testing.assert_array_equal(np.asarray(picture), labels)
