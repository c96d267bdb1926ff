import numpy as np
import pytest
from PIL import Image

from eseg_keras.export.preparation import (
    MOST_IMAGES,
    prepare_images,
    read_calibration_images,
    resize_verification_images,
)


def test_a_folder_gives_images_from_all_over_it(tmp_path):
    for name, count in (("a", 50), ("b", 50)):
        (tmp_path / name).mkdir()
        for index in range(count):
            grey = 100 * (name == "b") + index
            Image.new("RGB", (33, 32), (grey, 0, 0)).save(tmp_path / name / f"{index:02}.png")
    images = read_calibration_images(tmp_path)
    values = [int(image[0, 0, 0]) for image in images]
    assert len(values) == len(set(values)) == MOST_IMAGES
    assert values == sorted(values)
    assert min(values) == 0 and max(values) > 145
    assert 0.4 < np.mean([value >= 100 for value in values]) < 0.6


def test_first_frames(tmp_path):
    pages = [Image.new("RGB", (64, 48), color) for color in ("red", "lime")]
    pages[0].save(tmp_path / "a.gif", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match=r"read the first frame of \.gif with first_frame=True"):
        read_calibration_images(tmp_path)
    (image,) = read_calibration_images(tmp_path, first_frame=True)
    assert (image == (255, 0, 0)).all()


def test_an_image_that_is_too_small_is_named(tmp_path):
    for name, size in (("a", (64, 48)), ("icon", (64, 20))):
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
    with pytest.raises(ValueError, match=r"icon\.png: is 20x64 pixels.*at least 32x32"):
        read_calibration_images(tmp_path)


@pytest.mark.parametrize(("count", "held_out"), [(4, 1), (5, 2), (9, 3), (12, 3), (64, 3)])
def test_no_image_serves_twice(count, held_out):
    images = [np.full((40, 50, 3), index, "uint8") for index in range(count)]
    rest, compared = prepare_images(images, None, "int8", None, (), 3)
    assert len(compared) == held_out
    values = sorted(int(image[0, 0, 0]) for image in [*rest, *compared])
    assert values == list(range(count))


def test_images_are_resized_channel_by_channel():
    image = np.zeros((40, 50, 5), "uint8")
    image[..., 4] = 200
    rest, compared = prepare_images([image] * 4, None, "int8", (32, 64), (), 5)
    assert {image.shape for image in [*rest, *compared]} == {(32, 64, 5)}
    assert (rest[0][..., 4] == 200).all() and (rest[0][..., :4] == 0).all()


def test_all_calibrate_where_none_is_held_out():
    images = np.stack([np.full((40, 50, 3), index, "uint8") for index in range(3)])
    rest, compared = prepare_images(images, images[:1], "int8", None, [(32, 64), (64, 32)], 3)
    assert [image[0, 0, 0] for image in rest] == [0, 1, 2]
    assert [image.shape[:2] for image in compared] == [(32, 64), (64, 32)]
    _, compared = prepare_images(images, images[:1], "int8", (48, 48), [(32, 64), (64, 32)], 3)
    assert [image.shape[:2] for image in compared] == [(48, 48)]


def test_verification_images_take_the_sizes_in_turns():
    images = [np.full((40, 50, 3), index, "uint8") for index in range(2)]
    sizes = [(64, 96), (33, 47), (64, 96)]
    found = resize_verification_images(images, sizes, 3)
    assert [image.shape[:2] for image in found] == sizes
    assert [int(image[0, 0, 0]) for image in found] == [0, 1, 0]
    found = resize_verification_images(images * 2, sizes, 3)
    assert [image.shape[:2] for image in found] == [*sizes, (64, 96)]


@pytest.mark.parametrize(
    "images, message",
    [
        (None, r"uint8 arrays \[H, W, 3\] that resemble the training images.*Received: None"),
        ([], r"Received: \[\]"),
        ([np.zeros((40, 50, 1), "uint8")], "Expected verification images of uint8"),
        (
            [np.zeros((40, 31, 3), "uint8")],
            "size of verification images must be at least 32 pixels",
        ),
    ],
)
def test_verification_images_that_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        resize_verification_images(images, [(64, 96)], 3)


def test_bad_images_are_refused(tmp_path):
    image = np.zeros((40, 50, 3), "uint8")
    for images, message in [
        ([image] * 3, "at least 4 calibration_images"),
        ([image, image[..., :1]], r"uint8 \[H, W, 3\]. Received: uint8 of shape \(40, 50, 1\)"),
        ([image / 255], "Received: float64"),
        (
            [image[:31]] * 4,
            "size of calibration images must be at least 32 pixels",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            prepare_images(images, None, "int8", None, (), 3)
    with pytest.raises(ValueError, match="no folder"):
        read_calibration_images(tmp_path / "none")
    with pytest.raises(ValueError, match="no image inside"):
        read_calibration_images(tmp_path)
