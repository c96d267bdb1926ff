"""Conversion of LabelMe files; the masks are compared with those that LabelMe draws."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eseg_keras.conversion import convert

GOLDEN = Path(__file__).parents[1] / "golden"


def file_of(shapes, **changes):
    content = {"imagePath": "a.jpg", "imageHeight": 40, "imageWidth": 60, "shapes": shapes}
    return {**content, **changes}


def rectangle(label, left, top, right, bottom):
    points = [[left, top], [right, bottom]]
    return {"label": label, "shape_type": "rectangle", "points": points}


def test_every_type_of_shape_is_drawn_as_labelme_does(write, converted):
    content = json.loads((GOLDEN / "labelme.json").read_text())
    write("a.json", content)
    write("a.jpg", Image.new("RGB", (content["imageWidth"], content["imageHeight"])))
    done, masks = converted("labelme")
    golden = np.load(GOLDEN / "labelme.npz")
    assert done.class_names == tuple(golden["class_names"].tolist())
    assert {shape["shape_type"] for shape in content["shapes"]} == {
        "circle", "line", "linestrip", "mask", "oriented_rectangle", "point", "polygon",
        "rectangle",
    }  # fmt: skip
    np.testing.assert_array_equal(masks["a"], golden["mask"])


def test_folders_of_another_machine_do_not_count(write, tmp_path, monkeypatch):
    write("a.json", file_of([rectangle("cat", 0, 0, 9, 9)], imagePath="C:\\photos\\a.jpg"))
    write("a.jpg", Image.new("RGB", (60, 40)))
    # The image is also found if the source is the current folder.
    monkeypatch.chdir(tmp_path / "source")
    convert("labelme", ".", tmp_path / "data", verbose=False)
    assert (tmp_path / "data" / "images" / "a.jpg").is_file()


def test_the_image_may_be_inside_of_the_file(write, converted, tmp_path):
    image = write("elsewhere.png", Image.new("RGB", (60, 40), (9, 8, 7)))
    text = base64.b64encode(image.read_bytes()).decode()
    image.unlink()
    write("a.json", file_of([rectangle("cat", 0, 0, 9, 9)], imageData=text))
    _, masks = converted("labelme")
    assert (masks["a"] > 0).sum() == 100
    assert Image.open(tmp_path / "data" / "images" / "a.png").getpixel((0, 0)) == (9, 8, 7)


def test_a_damaged_image_inside_of_the_file(write, converted):
    write("a.json", file_of([rectangle("cat", 0, 0, 9, 9)], imageData="no base64"))
    with pytest.raises(ValueError, match="1 file: has an embedded image or mask that cannot be"):
        converted("labelme")


def test_paths_of_another_machine(write, converted):
    write("photos/one/a.jpg", Image.new("RGB", (60, 40)))
    write("photos/two/a.jpg", Image.new("RGB", (60, 40)))
    shapes = [rectangle("cat", 0, 0, 9, 9)]
    write("json/a.json", file_of(shapes, imagePath="C:\\Users\\me\\photos\\two\\a.jpg"))
    assert list(converted("labelme")[1]) == ["a"]


def test_linked_folders_are_searched_and_hidden_ones_are_not(write, converted, tmp_path):
    for name in ("a", "store/b", ".ipynb_checkpoints/c"):
        write(f"{name}.jpg", Image.new("RGB", (60, 40)))
        shapes = [rectangle("cat", 0, 0, 9, 9)]
        write(f"{name}.json", file_of(shapes, imagePath=f"{name[-1]}.jpg"))
    write("._a.json", b"\0\5\x16\7")
    (tmp_path / "source" / "store").rename(tmp_path / "store")
    (tmp_path / "source" / "linked").symlink_to(tmp_path / "store")
    assert list(converted("labelme")[1]) == ["a", "linked/b"]


def test_labels_file_orders_the_classes(write, converted):
    write("a.jpg", Image.new("RGB", (60, 40)))
    write("labels.txt", "__ignore__\n_background_\nzebra\ncat\nnever\n".encode("utf-8-sig"))
    shapes = [rectangle("zebra", 0, 0, 9, 9), rectangle("__ignore__", 5, 0, 9, 9)]
    content = json.dumps(file_of([*shapes, rectangle("cat", 20, 0, 29, 9)]))
    write("a.json", content.encode("utf-8-sig"))
    done, masks = converted("labelme")
    assert done.class_names == ("background", "zebra", "cat", "never")
    assert masks["a"][0, [0, 5, 15, 20]].tolist() == [1, 255, 0, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"imageHeight": None}, "a.json: imageHeight must be a number of pixels. Received: None"),
        ({"imageHeight": 41}, "its annotations are for another size"),
        ({"imagePath": "b.jpg"}, "pass its folder as --images"),
        ({"imagePath": ""}, "pass its folder as --images"),
        ({"shapes": [{"label": "cat", "points": [[1, 2, 3]]}]}, "a.json: the points of a shape"),
        ({"shapes": [{"label": "cat", "points": "x"}]}, "a.json: the points of a shape"),
        ({"shapes": [{"label": "", "points": [[0, 0]] * 3}]}, "class without a name"),
        ({"shapes": [{"points": [[0, 0]] * 3}]}, "a.json: a shape has no label"),
        (
            {"shapes": [{"label": "a", "shape_type": "circle", "points": [[0, 0]]}]},
            "a.json: a circle must have 2 points",
        ),
        (
            {"shapes": [{"label": "a", "shape_type": "mask", "points": [[0, 0]] * 2, "mask": "?"}]},
            "a.json: has an embedded image or mask that cannot be decoded",
        ),
    ],
)
def test_mistakes_name_the_file_and_leave_nothing(write, converted, tmp_path, changes, message):
    write("a.jpg", Image.new("RGB", (60, 40)))
    write("a.json", {**file_of([rectangle("cat", 0, 0, 9, 9)]), **changes})
    with pytest.raises(ValueError, match=message):
        converted("labelme")
    assert not (tmp_path / "data").exists()


def test_a_damaged_file(write, converted):
    write("a.jpg", Image.new("RGB", (60, 40)))
    write("a.json", "{")
    with pytest.raises(ValueError, match="a.json is damaged: it is not valid JSON.*Save it again"):
        converted("labelme")


def test_what_has_no_area_is_counted(write, converted):
    write("a.jpg", Image.new("RGB", (60, 40)))
    line = {"label": "cat", "shape_type": "polygon", "points": [[0, 0], [9, 9]]}
    write("a.json", file_of([line, rectangle("cat", 0, 0, 9, 9)]))
    write("other.json", {"version": 1})
    write("b.jpg", Image.new("RGB", (60, 40)))
    done, _ = converted("labelme")
    assert done.skipped == {
        "JSON files that are not LabelMe's": 1,
        "polygon shapes with 2 points": 1,
        "images without annotations": 1,
    }
