import io

import numpy as np
import pytest
from PIL import Image

from eseg_keras.data.datasets import DATASETS, load
from eseg_keras.data.datasets.cityscapes import LABEL_IDS

# Label id, train id, name and colour of every scored label, from
# https://github.com/mcordts/cityscapesScripts/blob/master/cityscapesscripts/helpers/labels.py
OFFICIAL = [
    line.split()
    for line in """
7 0 road 128 64 128
8 1 sidewalk 244 35 232
11 2 building 70 70 70
12 3 wall 102 102 156
13 4 fence 190 153 153
17 5 pole 153 153 153
19 6 traffic_light 250 170 30
20 7 traffic_sign 220 220 0
21 8 vegetation 107 142 35
22 9 terrain 152 251 152
23 10 sky 70 130 180
24 11 person 220 20 60
25 12 rider 255 0 0
26 13 car 0 0 142
27 14 truck 0 0 70
28 15 bus 0 60 100
31 16 train 0 80 100
32 17 motorcycle 0 0 230
33 18 bicycle 119 11 32
""".strip().splitlines()
]
CITIES = {"train": "aachen", "val": "frankfurt", "test": "berlin", "train_extra": "augsburg"}
SIZE = (4, 42)  # Enough pixels for every label id.


def labels_of(seed):
    """Return a mask with every label id, and 255 (license plate)."""
    rng = np.random.default_rng(seed)
    return rng.permutation(np.resize(np.r_[0:34, 255], SIZE[0] * SIZE[1])).reshape(SIZE)


def image_of(seed):
    return np.random.default_rng([seed, 1]).integers(0, 256, (*SIZE, 3), np.uint8)


@pytest.fixture
def cityscapes_files(image_bytes):
    """Function (kind, splits) -> {path: bytes}: files of an archive, including unused ones."""

    def files(kind, splits):
        content = {"README": b"Cityscapes", "license.txt": b"terms"}
        for seed, split in enumerate(CITIES):
            if split not in splits:
                continue
            city = CITIES[split]
            for frame in range(2):
                name = f"{kind}/{split}/{city}/{city}_00000{frame}_000019"
                seeds = (seed, frame)
                if kind == "leftImg8bit":
                    content[f"{name}_leftImg8bit.png"] = image_bytes(image_of(seeds))
                    continue
                labels = labels_of(seeds).astype(np.uint8)
                content[f"{name}_{kind}_labelIds.png"] = image_bytes(labels)
                content[f"{name}_{kind}_instanceIds.png"] = image_bytes(labels.astype(np.uint16))
                content[f"{name}_{kind}_color.png"] = image_bytes(image_of(seeds))
                content[f"{name}_{kind}_polygons.json"] = b"{}"
        return content

    return files


@pytest.fixture
def fine_archives(cityscapes_files, write_files):
    def write(folder):
        for kind in ("leftImg8bit", "gtFine"):
            files = cityscapes_files(kind, ["train", "val", "test"])
            write_files(folder / f"{kind}_trainvaltest.zip", files)

    return write


def check(examples, split, seed):
    """Compare examples with the images and masks of `seed`; the official table maps the masks."""
    new = {int(label): int(train_id) for label, train_id, *_ in OFFICIAL}
    assert len(examples) == 2
    for index in range(2):
        name = examples.name(index)
        frame = int(name.split("_")[1])
        assert name == f"{CITIES[split]}_00000{frame}_000019"
        image, mask = examples.read(index)
        assert image.dtype == mask.dtype == np.uint8
        np.testing.assert_array_equal(image, image_of((seed, frame)))
        expected = [new.get(label, 255) for label in labels_of((seed, frame)).flatten().tolist()]
        np.testing.assert_array_equal(mask.flatten(), expected)


def test_classes_are_the_official_ones():
    classes = DATASETS["cityscapes"]["train"].classes
    assert len(OFFICIAL) == len(classes.class_names) == 19
    for class_id, (label, train_id, name, *color) in enumerate(OFFICIAL):
        assert class_id == int(train_id)
        assert LABEL_IDS[class_id] == int(label)
        assert classes.class_names[class_id] == name.replace("_", " ")
        assert classes.palette[class_id] == tuple(map(int, color))


@pytest.mark.parametrize("place", ["downloads/manual", "", "downloads/manual/cityscapes"])
def test_fine_annotations_from_the_archives(tmp_path, fine_archives, place):
    fine_archives(tmp_path / place)
    for seed, (split, folder) in enumerate({"train": "train", "validation": "val"}.items()):
        check(load("cityscapes", split, tmp_path), folder, seed)
    check(load("cityscapes", "test", tmp_path), "test", 2)


def test_fine_annotations_from_unpacked_archives(tmp_path, cityscapes_files, write_files):
    manual = tmp_path / "downloads/manual"
    for kind in ("leftImg8bit", "gtFine"):
        write_files(manual, cityscapes_files(kind, ["train", "val", "test"]))
    check(load("cityscapes", "train", tmp_path), "train", 0)
    check(load("cityscapes", "test", tmp_path), "test", 2)


@pytest.mark.parametrize("zipped", [True, False])
def test_coarse_annotations(tmp_path, cityscapes_files, write_files, zipped):
    manual = tmp_path / "downloads/manual"
    archives = {
        "leftImg8bit_trainvaltest.zip": ("leftImg8bit", ["train", "val", "test"]),
        "leftImg8bit_trainextra.zip": ("leftImg8bit", ["train_extra"]),
        "gtCoarse.zip": ("gtCoarse", ["train", "val", "train_extra"]),
    }
    for name, (kind, splits) in archives.items():
        write_files(manual / name if zipped else manual, cityscapes_files(kind, splits))
    check(load("cityscapes", "train_extra", tmp_path), "train_extra", 3)


def test_half_of_the_archives_is_not_enough(tmp_path, fine_archives):
    manual = tmp_path / "downloads/manual"
    fine_archives(manual)
    (manual / "gtFine_trainvaltest.zip").unlink()
    with pytest.raises(FileNotFoundError) as error:
        load("cityscapes", "train", tmp_path)
    message = str(error.value)
    for part in (
        "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip",
        "https://www.cityscapes-dataset.com",
        str(manual),
    ):
        assert part in message
    assert not (tmp_path / "cityscapes").exists()


def test_a_truncated_archive_counts_as_missing(tmp_path, fine_archives):
    manual = tmp_path / "downloads/manual"
    fine_archives(manual)
    content = (manual / "gtFine_trainvaltest.zip").read_bytes()
    (manual / "gtFine_trainvaltest.zip").write_bytes(content[: len(content) // 2])
    with pytest.raises(FileNotFoundError, match="gtFine_trainvaltest.zip"):
        load("cityscapes", "train", tmp_path)


def test_stored_files_are_the_files_of_the_archive(tmp_path, cityscapes_files, fine_archives):
    import tensorflow_datasets as tfds

    fine_archives(tmp_path)
    load("cityscapes", "train", tmp_path)
    # Read the prepared set as another program would, with tensorflow-datasets.
    builder = tfds.builder_from_directory(tmp_path / "cityscapes/semantic_segmentation/1.0.0")
    skip = tfds.decode.SkipDecoding()
    records = builder.as_data_source(
        "train", decoders={"image_left": skip, "segmentation_label": skip}
    )
    files = cityscapes_files("leftImg8bit", ["train"])
    names = [record["image_id"].decode() for record in records]
    assert sorted(names) == ["aachen_000000_000019", "aachen_000001_000019"]
    for record, name in zip(records, names, strict=True):
        path = f"leftImg8bit/train/aachen/{name}_leftImg8bit.png"
        assert record["image_left"] == files[path]
        assert Image.open(io.BytesIO(record["segmentation_label"])).mode == "L"
