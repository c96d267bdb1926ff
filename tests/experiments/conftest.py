"""Tiny data sets with the file layout of the downloaded ones."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

SIZE = (48, 96)
COUNTS = {"train": 4, "val": 2}


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def photo_and_labels(split, index, num_labels):
    """Return an image whose colours encode its labels, and the labels: constant 8x8 squares."""
    rng = np.random.default_rng([len(split), index])
    squares = rng.integers(0, num_labels, (SIZE[0] // 8, SIZE[1] // 8))
    labels = np.kron(squares, np.ones((8, 8))).astype(np.uint8)
    photo = np.stack([labels * 5, labels * 11, 255 - labels], axis=-1).astype(np.uint8)
    return photo, labels


def write_zip(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def make_cityscapes(data_dir):
    photos, labels = {}, {}
    for split in ("train", "val", "test"):
        for index in range(COUNTS.get(split, 1)):
            name = f"{split}/city/city_00000{index}_000019"
            photo, label = photo_and_labels(split, index, 34)
            photos[f"leftImg8bit/{name}_leftImg8bit.png"] = png(photo)
            labels[f"gtFine/{name}_gtFine_labelIds.png"] = png(label)
    manual = data_dir / "downloads" / "manual"
    write_zip(manual / "leftImg8bit_trainvaltest.zip", photos)
    write_zip(manual / "gtFine_trainvaltest.zip", labels)

    # For self-training: images without masks, and pseudo labels of a teacher.
    for index in range(2):
        photo, label = photo_and_labels("extra", index, 19)
        for folder, array in (("leftImg8bit/train_extra", photo), ("pseudo/labels", label)):
            path = data_dir / folder / "city" / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)


def make_ade20k(data_dir):
    files = {}
    for split, folder in (("train", "training"), ("val", "validation")):
        for index in range(COUNTS[split]):
            name = f"ADE_{split}_{index:08}"
            photo, label = photo_and_labels(split, index, 151)
            buffer = io.BytesIO()
            Image.fromarray(photo).save(buffer, "JPEG")
            files[f"ADEChallengeData2016/images/{folder}/{name}.jpg"] = buffer.getvalue()
            files[f"ADEChallengeData2016/annotations/{folder}/{name}.png"] = png(label)
    write_zip(data_dir / "downloads" / "manual" / "ADEChallengeData2016.zip", files)


def make_mapillary_vistas(data_dir):
    files = {}
    for split, folder in (("train", "training"), ("val", "validation")):
        for index in range(COUNTS[split]):
            photo, label = photo_and_labels(split, index, 66)
            buffer = io.BytesIO()
            Image.fromarray(photo).save(buffer, "JPEG")
            files[f"{folder}/images/{index}.jpg"] = buffer.getvalue()
            files[f"{folder}/labels/{index}.png"] = png(label)
    write_zip(data_dir / "downloads" / "manual" / "mapillary.zip", files)


def make_folders(data_dir, num_labels):
    for split, count in COUNTS.items():
        for index in range(count):
            photo, label = photo_and_labels(split, index, num_labels)
            for kind, array, suffix in (("images", photo, "jpg"), ("annotations", label, "png")):
                path = data_dir / kind / split / f"{index}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """Return a function (name of an experiment) -> data directory."""
    made = {}

    def make(name):
        kind = name.partition("/")[0].replace("controls", "cityscapes")
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind)
            if kind == "cityscapes":
                make_cityscapes(made[kind])
            elif kind == "ade20k":
                make_ade20k(made[kind])
            elif kind == "mapillary_vistas":
                make_mapillary_vistas(made[kind])
            elif kind == "camvid":
                make_folders(made[kind], 12)  # Label 11 is void.
            elif kind == "folders":
                make_folders(made[kind], 2)
        return made[kind]

    return make
