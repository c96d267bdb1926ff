"""CVAT's XML, compared with masks drawn as CVAT's exporter does, with pycocotools and Pillow."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

SIZE = (40, 60)
LABELS = "".join(
    f"<label><name>{name}</name><color>{color}</color></label>"
    for name, color in (("road", "#804080"), ("car", "#00008e"), ("sky", ""))
)


def file_of(shapes, image="", meta=LABELS):
    image = image or f'name="day one/a.jpg" width="{SIZE[1]}" height="{SIZE[0]}"'
    return (
        f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><task>'
        f"<labels>{meta}</labels></task></meta><image {image}>{shapes}</image></annotations>"
    )


def polygon(label, points, order=0):
    text = ";".join(f"{x},{y}" for x, y in points)
    return f'<polygon label="{label}" points="{text}" z_order="{order}"></polygon>'


def box(label, left, top, right, bottom, more=""):
    return f'<box label="{label}" xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}" {more}/>'


@pytest.fixture
def image(write):
    return write("images/day one/a.jpg", Image.new("RGB", SIZE[::-1]))


def official(points):
    flat = [value for point in points for value in point]
    return coco_mask.decode(coco_mask.frPyObjects([flat], *SIZE))[..., 0] > 0


def test_layers_and_the_order_of_the_file(write, converted, image):
    first = [(0.5, 0.5), (40.2, 3.1), (30.7, 35.9)]
    second = [(10.0, 5.0), (55.5, 8.2), (20.1, 39.0)]
    third = [(5.0, 10.0), (50.0, 12.0), (50.0, 20.0), (5.0, 20.0)]
    shapes = polygon("car", first, 1) + polygon("road", second) + polygon("sky", third)
    write("annotations.xml", file_of(shapes))
    done, masks = converted("cvat")
    assert done.class_names == ("background", "road", "car", "sky")
    assert done.palette == ((0, 0, 0), (128, 64, 128), (0, 0, 142), (128, 128, 0))
    expected = np.zeros(SIZE, np.uint8)
    for points, label in ((second, 1), (third, 3), (first, 2)):
        expected[official(points)] = label
    np.testing.assert_array_equal(masks["a"], expected)


def test_boxes_and_their_rotation(write, converted, image):
    turned = box("car", 20, 10, 40, 20, 'rotation="90"')
    write("annotations.xml", file_of(box("road", 2, 3, 12, 9) + turned))
    _, masks = converted("cvat")
    expected = np.zeros(SIZE, np.uint8)
    expected[3:9, 2:12] = 1
    expected[5:25, 25:35] = 2  # Rotated by 90 degrees about its centre: ten wide, twenty high.
    np.testing.assert_array_equal(masks["a"], expected)


def test_a_tilted_box_turns_clockwise(write, converted, image):
    write("annotations.xml", file_of(box("car", 10, 18, 50, 22, 'rotation="30"')))
    _, masks = converted("cvat")
    rows, _ = np.nonzero(masks["a"][:, :20])
    right_rows, _ = np.nonzero(masks["a"][:, 40:])
    assert rows.max() < 20 < right_rows.min()


def test_masks_are_runs_of_a_box(write, converted, image):
    pixels = np.random.default_rng(0).random((6, 9)) > 0.5
    pixels[0, 0] = True  # The first run counts zeros: here none.
    flat = pixels.ravel()
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = [0, *np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()]
    rle = ", ".join(map(str, runs))
    shape = f'<mask label="car" rle="{rle}" left="30" top="20" width="9" height="6" />'
    write("annotations.xml", file_of(shape))
    _, masks = converted("cvat")
    expected = np.zeros(SIZE, np.uint8)
    expected[20:26, 30:39] = 2 * pixels
    np.testing.assert_array_equal(masks["a"], expected)


def test_an_ellipse_is_almost_pillows(write, converted, image):
    write(
        "annotations.xml",
        file_of('<ellipse label="car" cx="30" cy="20" rx="18" ry="11"></ellipse>'),
    )
    _, masks = converted("cvat")
    picture = Image.new("L", SIZE[::-1])
    ImageDraw.Draw(picture).ellipse((12, 9, 47, 30), fill=2)
    assert (masks["a"] != np.asarray(picture)).mean() < 0.01
    assert abs((masks["a"] > 0).sum() - np.pi * 18 * 11) < 8


def test_splits_and_what_has_no_area(write, converted):
    for subset in ("Train", "Validation"):
        write(f"images/{subset}.jpg", Image.new("RGB", SIZE[::-1]))
        shapes = box("car", 2, 2, 9, 9) + '<polyline label="car" points="0,0;9,9"/><tag label="x"/>'
        size = f'width="{SIZE[1]}" height="{SIZE[0]}"'
        write(f"{subset}.xml", file_of(shapes, f'name="{subset}.jpg" subset="{subset}" {size}'))
    done, masks = converted("cvat")
    assert done.num_images == {"train": 1, "val": 1}
    assert done.skipped == {"shapes without an area (polyline)": 2}
    assert sorted(masks) == ["train/Train", "val/Validation"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotations", "annotations.xml holds no XML"),
        ("<annotations><track id='0'/></annotations>", "holds the tracks of a video.*for images"),
        ("<other/>", "holds no annotated image of the format cvat"),
        (file_of(box("car", "x", 1, 2, 3)), "annotations.xml: xtl of <box> must be a number"),
        (file_of(polygon("car", [(1, 2)])), "a polygon has fewer than 3 points"),
        (file_of('<polygon label="car" points="1;2;3"/>'), "the points of a shape"),
        (
            file_of('<mask label="car" rle="3, 4" left="0" top="0" width="3" height="3"/>'),
            "the runs of a mask do not fill its box",
        ),
        (file_of("", 'name="a.jpg" width="60"'), "height of <image> must be a number"),
        (file_of(box("", 0, 0, 5, 5)), "a class without a name"),
    ],
)
def test_mistakes_name_the_file_and_leave_nothing(write, converted, image, tmp_path, text, message):
    write("annotations.xml", text)
    with pytest.raises(ValueError, match=message):
        converted("cvat")
    assert not (tmp_path / "data").exists()
