"""Features that all formats share: splits, rotated images, classes, files."""

import subprocess

import numpy as np
import pytest
from PIL import Image

from eseg_keras.cli import convert as command
from eseg_keras.conversion import FORMATS, convert
from eseg_keras.data import open_folders, read_image
from eseg_keras.training import load_experiment

SIZE = (40, 60)


def add(write, name, *labels, size=SIZE, **image_options):
    """Write an image and its LabelMe file, with one shape per label, side by side."""
    write(f"{name}.jpg", Image.new("RGB", size[::-1]), **image_options)
    shapes = [
        {"label": label, "shape_type": "rectangle", "points": [[9 * i, 0], [9 * i + 8, 8]]}
        for i, label in enumerate(labels)
    ]
    content = {"imagePath": f"{name.rpartition('/')[2]}.jpg", "shapes": shapes}
    write(f"{name}.json", {**content, "imageHeight": size[0], "imageWidth": size[1]})


@pytest.fixture
def photos(write):
    """Twelve images of four videos; only one video contains the class dog."""
    for index in range(12):
        add(write, f"video{index // 3}_frame{index % 3}", "cat", *["dog"] * (index // 3 == 2))


def test_a_split_keeps_groups_together(photos, converted, tmp_path):
    done, masks = converted("labelme", val_share=0.25, group=r"^(.*)_frame")
    assert done.num_images == {"train": 9, "val": 3}
    sides = {name.rpartition("_")[0] for name in masks}
    assert len(sides) == 4  # No video is in both splits.
    assert not list(tmp_path.glob("data/*/.unsplit"))
    experiment = load_experiment(str(tmp_path / "data" / "experiment.py"))
    assert experiment.class_names == done.class_names == ("background", "cat", "dog")
    assert experiment.palette == done.palette
    for split in ("train", "val"):
        folders = (tmp_path / "data" / kind / split for kind in ("images", "annotations"))
        examples = open_folders(*folders, class_names=experiment.class_names, verbose=False)
        assert len(examples) == done.num_images[split]


def test_a_split_shows_every_class_on_both_sides(photos, converted):
    done, masks = converted("labelme", val_share=0.34)
    assert done.num_images == {"train": 8, "val": 4}
    for split in ("train", "val"):
        assert any(2 in mask for name, mask in masks.items() if name.startswith(split))


def test_files_are_the_same_in_another_run(photos, tmp_path):
    for name in ("one", "two"):
        convert("labelme", tmp_path / "source", tmp_path / name, val_share=0.5, verbose=False)
    subprocess.run(["diff", "-r", tmp_path / "one", tmp_path / "two"], check=True)


@pytest.mark.parametrize(
    ("orientation", "is_turned"),
    # With orientations 1 to 4, the size does not show whether the EXIF rotation was applied before
    # annotating; it is assumed that it was.
    [*((orientation, True) for orientation in range(1, 9)), (5, False), (6, False), (7, False),
     (8, False)],
)  # fmt: skip
def test_rotated_images(write, converted, tmp_path, orientation, is_turned):
    """After EXIF rotation, the same corner is marked in image and mask."""
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[:8, :8] = 255
    stored = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = write("a.png", stored, exif=exif)
    seen = read_image(path)
    # LabelMe applies the EXIF rotation before annotating; some other tools do not.
    annotated = seen if is_turned else pixels
    rows, columns = np.nonzero(annotated[..., 0])
    points = [[int(v.min()) for v in (columns, rows)], [int(v.max()) for v in (columns, rows)]]
    shape = {"label": "corner", "shape_type": "rectangle", "points": points}
    height, width = annotated.shape[:2]
    content = {"imagePath": "a.png", "imageHeight": height, "imageWidth": width, "shapes": [shape]}
    write("a.json", content)
    _, masks = converted("labelme")
    image = read_image(tmp_path / "data" / "images" / "a.png")
    np.testing.assert_array_equal(masks["a"] > 0, image[..., 0] > 0)


def test_names_and_folders_are_kept(write, converted, tmp_path):
    for name in ("day/one/a", "day/two/a"):
        add(write, name, "cat")
    _, masks = converted("labelme")
    assert list(masks) == ["one/a", "two/a"]
    assert (tmp_path / "data" / "images" / "one" / "a.jpg").is_file()


def test_folders_called_train_and_val_are_splits(write, converted):
    for name in ("train/a", "valid/b"):
        add(write, name, "cat")
    assert converted("labelme")[0].num_images == {"train": 1, "val": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val_share": 1.5}, "above 0 and below 1"),
        ({"group": "a"}, "pass `val_share`"),
        ({"group": "(", "val_share": 0.5}, "must be a regular expression"),
        ({"group": "x", "val_share": 0.5}, "'x' does not match 'video"),
        ({"group": "(x)?", "val_share": 0.5}, "does not match 'video"),
        ({"group": "video", "val_share": 0.5}, "at least two groups"),
        ({"class_names": ["cow"]}, "must be unique class names of .*: cat, dog. Received: cow"),
        ({"class_names": ["cat", "cat"]}, "must be unique class names"),
        ({"images": "nowhere"}, "no file or folder nowhere"),
    ],
)
def test_mistakes_leave_nothing(photos, converted, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        converted("labelme", **options)
    assert not (tmp_path / "data").exists()


def test_a_split_of_its_own_is_kept(write, converted):
    for name in ("train/a", "valid/b"):
        add(write, name, "cat")
    with pytest.raises(ValueError, match="already has a validation split"):
        converted("labelme", val_share=0.2)


def test_two_images_of_one_name(write, converted):
    add(write, "a", "cat")
    add(write, "again/a", "cat")
    # Without again/a.jpg, the image a.jpg is found for both annotation files.
    (write("b", "").parent / "again" / "a.jpg").unlink()
    with pytest.raises(ValueError, match="two annotated images have the same name"):
        converted("labelme")


def test_a_damaged_image(write, converted):
    add(write, "a", "cat")
    write("a.jpg", b"no image")
    with pytest.raises(ValueError, match="cannot be read as an image"):
        converted("labelme")


def test_an_image_of_too_many_pixels_is_refused_by_its_header(write, converted, monkeypatch):
    monkeypatch.setattr("eseg_keras.conversion.drawing.MAX_PIXELS", 100)
    add(write, "a", "cat")
    with pytest.raises(ValueError, match="has 2,400 pixels"):
        converted("labelme")


def test_more_classes_than_a_mask_holds(write, converted):
    add(write, "a", *(f"class {n}" for n in range(255)))
    with pytest.raises(ValueError, match="has 256 classes, expected 1 to 254"):
        converted("labelme")


def test_the_command_offers_every_format():
    assert command.FORMATS == tuple(FORMATS)
