import numpy as np
import pytest
from PIL import Image

from eseg_keras.data.datasets import DATASETS, load
from eseg_keras.data.images.image_reader import ImageFileError

ROOT = "ADEChallengeData2016"
SIZES = [(12, 20), (20, 9), (16, 16)]  # The images differ in size.


def labels_of(split, number):
    rng = np.random.default_rng([len(split), number])
    height, width = SIZES[number % 3]
    labels = rng.integers(0, 151, (height, width)).astype(np.uint8)
    labels[0, :3] = 0, 1, 150
    return labels


@pytest.fixture
def ade_files(image_bytes):
    """The files of the archive, with the layout described in its README."""
    files = {f"{ROOT}/objectInfo150.txt": b"Idx", f"{ROOT}/sceneCategories.txt": b"scenes"}
    for split, short, count in (("training", "train", 5), ("validation", "val", 3)):
        for number in range(1, count + 1):
            name = f"ADE_{short}_{number:08}"
            labels = labels_of(split, number)
            # Image 2 of each split is a grey JPEG.
            photo = np.repeat(labels[..., None], 3, axis=-1) if number != 2 else labels
            files[f"{ROOT}/images/{split}/{name}.jpg"] = image_bytes(photo, "JPEG")
            files[f"{ROOT}/annotations/{split}/{name}.png"] = image_bytes(labels)
    return files


@pytest.mark.parametrize("target", ["ADEChallengeData2016.zip", "unpacked"])
def test_both_splits(tmp_path, ade_files, write_files, target):
    manual = tmp_path / "downloads/manual"
    write_files(manual / target if target.endswith(".zip") else manual, ade_files)
    for split, folder, short, count in (
        ("train", "training", "train", 5),
        ("validation", "validation", "val", 3),
    ):
        examples = load("ade20k", split, tmp_path)
        assert len(examples) == count
        for index in range(count):
            # Examples are sorted by name.
            assert examples.name(index) == f"ADE_{short}_{index + 1:08}"
            image, mask = examples.read(index)
            labels = labels_of(folder, index + 1).astype(int)
            assert image.dtype == mask.dtype == np.uint8
            assert image.shape == (*labels.shape, 3)
            # Labels 1..150 become 0..149, and 0 is ignored.
            np.testing.assert_array_equal(mask, np.where(labels == 0, 255, labels - 1))


def test_classes():
    classes = DATASETS["ade20k"]["train"].classes
    assert len(classes.class_names) == len(classes.palette) == 150
    # From objectInfo150.txt, the class list of the benchmark.
    known = {1: "wall", 2: "building", 13: "person", 21: "car", 100: "buffet", 150: "flag"}
    for label, name in known.items():
        assert classes.class_names[label - 1] == name
    assert classes.palette[0] == (120, 120, 120)
    assert classes.palette[149] == (92, 0, 255)


def test_a_folder_beside_the_archive_is_not_taken_instead(tmp_path, ade_files, write_files):
    manual = tmp_path / "downloads/manual"
    write_files(manual / "ADEChallengeData2016.zip", ade_files)
    half = {path: content for path, content in ade_files.items() if "0000001" in path}
    write_files(manual, half)
    assert len(load("ade20k", "train", tmp_path)) == 5


def test_an_image_without_mask_is_named(tmp_path, ade_files, write_files):
    del ade_files[f"{ROOT}/annotations/training/ADE_train_00000003.png"]
    write_files(tmp_path / "downloads/manual/ade.zip", ade_files)
    with pytest.raises(FileNotFoundError, match=r"ADE_train_00000003\.jpg has no mask"):
        load("ade20k", "train", tmp_path)
    # The failed preparation leaves no files that look like a prepared data set.
    with pytest.raises(FileNotFoundError, match=r"ADE_train_00000003\.jpg has no mask"):
        load("ade20k", "validation", tmp_path)


@pytest.mark.parametrize(
    "path, content, message",
    [
        ("images/training/ADE_train_00000003.jpg", "torn", "cannot be read as an image"),
        ("annotations/training/ADE_train_00000003.png", "torn", "cannot be read as an image"),
        ("annotations/training/ADE_train_00000003.png", "label", r"has the labels \[151\]"),
        ("annotations/training/ADE_train_00000003.png", "size", "the image has 20x12 pixels"),
        ("annotations/training/ADE_train_00000003.png", "color", "has the pixel format RGB"),
    ],
)
def test_an_example_with_a_fault_names_itself(
    tmp_path, ade_files, write_files, image_bytes, path, content, message
):
    labels = labels_of("training", 3)
    ade_files[f"{ROOT}/{path}"] = {
        "torn": ade_files[f"{ROOT}/{path}"][:-30],
        "label": image_bytes(np.where(labels == 0, 151, labels).astype(np.uint8)),
        "size": image_bytes(labels[:-1]),
        "color": image_bytes(Image.fromarray(labels).convert("RGB")),
    }[content]
    write_files(tmp_path / "downloads/manual/ade.zip", ade_files)
    examples = load("ade20k", "train", tmp_path)
    with pytest.raises(ImageFileError, match=f"^ade20k/train/ADE_train_00000003.*{message}"):
        examples.read(2)
    examples.read(1)
    assert examples.name(2) == "ADE_train_00000003"
