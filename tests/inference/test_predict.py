import numpy as np
import pytest
from PIL import Image

from eseg_keras.inference import default_palette, overlay
from eseg_keras.inference.predict import find_images, predict_files


class Halves:
    """Stands in for a network: labels the left half 0 and the right half 1."""

    num_classes = 2
    class_names = None
    palette = None

    def segment(self, image):
        labels = np.zeros(image.shape[:2], "uint8")
        labels[:, image.shape[1] // 2 :] = 1
        return labels


def picture(path, size=(40, 36)):
    Image.effect_noise(size, 80).convert("RGB").save(path)
    return path


def test_files_and_folders(tmp_path):
    (tmp_path / "folder").mkdir()
    b, a = picture(tmp_path / "folder" / "b.png"), picture(tmp_path / "folder" / "a.JPG")
    (tmp_path / "folder" / "notes.txt").write_text("no picture")
    (tmp_path / "folder" / "._a.JPG").write_bytes(b"no picture")
    (tmp_path / "folder" / "folder.png").mkdir()
    single = picture(tmp_path / "single.webp")
    assert find_images([single, tmp_path / "folder"]) == [single, a, b]


def test_what_cannot_be_predicted_is_named(tmp_path):
    with pytest.raises(ValueError, match="no image inside"):
        find_images([tmp_path])
    (tmp_path / "scans").mkdir()
    picture(tmp_path / "scans" / "one.tiff")
    with pytest.raises(ValueError, match="scans: no image inside .*.webp.; it holds .tiff: conv"):
        find_images([tmp_path / "scans"])
    with pytest.raises(ValueError, match="no file or folder .*missing.png"):
        find_images([tmp_path / "missing.png"])
    first, second = picture(tmp_path / "same.png"), picture(tmp_path / "same.jpg")
    with pytest.raises(ValueError, match="same.jpg, .*same.png|same.png, .*same.jpg"):
        find_images([first, second])


def test_each_picture_gets_an_overlay_and_a_label_map(tmp_path):
    path = picture(tmp_path / "photo.png")
    (overlay_path,) = predict_files(Halves(), [path], tmp_path / "out", alpha=0.25)
    assert overlay_path == tmp_path / "out" / "overlays" / "photo.png"
    labels = np.asarray(Image.open(tmp_path / "out" / "labels" / "photo.png"))
    image = np.asarray(Image.open(path))
    np.testing.assert_array_equal(labels, Halves().segment(image))
    seen = np.asarray(Image.open(overlay_path))
    np.testing.assert_array_equal(seen[:36], overlay(image, labels, default_palette(2), 0.25))
    assert seen.shape[0] > 36  # The legend.
    files = sorted(p.name for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert files == ["photo.png", "photo.png"]


def test_small_pictures_are_all_named_before_anything_is_written(tmp_path):
    paths = [picture(tmp_path / f"{width}.png", (width, 36)) for width in (40, 31, 32, 20)]
    with pytest.raises(ValueError, match=r"31.png \(36x31\), .*20.png \(36x20\)\.") as caught:
        list(predict_files(Halves(), paths, tmp_path / "out"))
    assert "40.png" not in str(caught.value) and "32.png" not in str(caught.value)
    with pytest.raises(ValueError, match=r"40.png \(36x40, 31x34 at long_side=34\)"):
        list(predict_files(Halves(), paths[:1], tmp_path / "out", long_side=34))
    text = tmp_path / "text.png"
    text.write_text("no picture")
    with pytest.raises(ValueError, match="text.png"):
        list(predict_files(Halves(), [paths[0], text], tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    many = [picture(tmp_path / f"tiny{index}.png", (9, 9)) for index in range(21)]
    with pytest.raises(ValueError, match="tiny19.png .*, and 1 more"):
        list(predict_files(Halves(), many, tmp_path / "out"))


class Sees(Halves):
    """Remembers the sizes that it was shown."""

    def __init__(self):
        self.sizes = []

    def segment(self, image):
        self.sizes.append(image.shape)
        return super().segment(image)


def test_long_side_is_what_the_model_sees_and_not_what_is_written(tmp_path):
    wide, small = picture(tmp_path / "wide.png", (200, 100)), picture(tmp_path / "small.png")
    model = Sees()
    list(predict_files(model, [wide, small], tmp_path / "out", long_side=80))
    assert model.sizes == [(40, 80, 3), (72, 80, 3)]
    for path in (wide, small):
        labels = np.asarray(Image.open(tmp_path / "out" / "labels" / path.name))
        image = np.asarray(Image.open(path))
        np.testing.assert_array_equal(labels, Halves().segment(image))


def test_a_broken_picture_names_itself_and_leaves_nothing(tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(picture(tmp_path / "whole.png").read_bytes()[:200])
    with pytest.raises(ValueError, match="broken.png"):
        list(predict_files(Halves(), [path], tmp_path / "out"))
    assert not (tmp_path / "out").exists()
