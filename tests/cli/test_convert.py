import json

import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "my photos"
    folder.mkdir()
    for index in range(4):
        Image.new("RGB", (64, 48)).save(folder / f"{index}.jpg")
        shape = {"label": "cat", "shape_type": "rectangle", "points": [[8, 8], [31, 31]]}
        content = {"imagePath": f"{index}.jpg", "imageHeight": 48, "imageWidth": 64}
        (folder / f"{index}.json").write_text(json.dumps({**content, "shapes": [shape]}))
    return folder


def test_the_next_commands_read_what_it_writes(eseg, photos, tmp_path):
    data = tmp_path / "data"
    status, out, err = eseg("convert", "labelme", photos, data, "--val_share", 0.25)
    assert (status, err) == (0, "")
    assert "3 train, 1 val images, 2 classes" in out and "background, cat" in out
    (check,) = (line for line in out.splitlines() if line.startswith("Check: "))
    status, out, _ = eseg(*check.removeprefix("Check: eseg ").split())
    assert status == 0 and "3 images of 48×64" in out and "No problem found." in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("labelme", "nowhere"), "There is no file or folder nowhere"),
        (("voc",), "must contain one mask folder, SegmentationClass"),
        (("cvat",), "has no annotated image of the format cvat"),
    ],
)
def test_mistakes_are_one_sentence(eseg, photos, tmp_path, arguments, message):
    format, source = (*arguments, photos)[:2]
    status, _, err = eseg("convert", format, source, tmp_path / "data")
    assert status == 2 and message in err and err.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_it_never_writes_into_a_folder_with_files(eseg, photos):
    status, _, err = eseg("convert", "labelme", photos, photos)
    assert status == 2 and "exists and is not empty" in err
