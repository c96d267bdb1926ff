import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from eseg_keras.cli import data_check as command
from eseg_keras.data import balanced_class_weights
from eseg_keras.street_scenes import CLASS_NAMES, render_scene
from eseg_keras.training import Experiment
from eseg_keras.training.experiment import READING

NAMES = ["road", "[bold]sky[/]", "car", "tree"]
OUTPUTS = ["classes.csv", "contact_sheet.png", "summary.json"]


@pytest.fixture
def folder(tmp_path):
    """Five images of two sizes, with masks that contain the labels 0, 1, 2 and 11."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    rng = np.random.default_rng(0)
    for index in range(5):
        size = (40, 60) if index else (48, 64)
        save(tmp_path, index, rng.integers(0, 256, (*size, 3)), rng.choice([0, 0, 1, 11], size))
    masks = np.asarray(Image.open(tmp_path / "masks" / "3.png")).copy()
    masks[:5, :5] = 2
    Image.fromarray(masks).save(tmp_path / "masks" / "3.png")
    return tmp_path


def save(folder, index, image, mask):
    Image.fromarray(image.astype("uint8")).save(folder / "images" / f"{index}.png")
    Image.fromarray(mask.astype("uint8")).save(folder / "masks" / f"{index}.png")


def flags(folder, *more):
    return [
        "data-check", "--images", folder / "images", "--masks", folder / "masks",
        "--set", f"class_names={','.join(NAMES)}", "--set", "class_map=11:255", *more,
    ]  # fmt: skip


def read(folder):
    with open(folder / "classes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return json.loads((folder / "summary.json").read_text()), rows


def test_a_folder_without_problems(eseg, folder):
    status, out, err = eseg(*flags(folder, "--output", folder / "check"))
    assert status == 0, err
    masks = [np.asarray(Image.open(path)) for path in sorted((folder / "masks").iterdir())]
    pixels = [sum(int((mask == label).sum()) for mask in masks) for label in range(4)]
    images = [sum(bool((mask == label).any()) for mask in masks) for label in range(4)]
    total = sum(mask.size for mask in masks)
    ignored = sum(int((mask == 11).sum()) for mask in masks)
    summary, rows = read(folder / "check")
    assert summary["classes"] == [
        {"class": name, "pixels": p, "share": pytest.approx(p / sum(pixels)), "images": n,
         "weight": pytest.approx(float(w), rel=1e-6)}
        for name, p, n, w in zip(NAMES, pixels, images, balanced_class_weights(pixels), strict=True)
    ]  # fmt: skip
    assert [(row["class"], int(row["pixels"])) for row in rows] == list(
        zip(NAMES, pixels, strict=True)
    )
    assert images == [5, 5, 1, 0] and pixels[2] == 25
    assert summary["ignored_share"] == pytest.approx(ignored / total)
    assert summary["absent_classes"] == ["tree"] and summary["problems"] == {}
    assert summary["sizes"] == [[40, 60, 4], [48, 64, 1]]
    assert "4 of 40×60, 1 of 48×64" in out and "Classes that never occur: tree" in out
    assert f"Ignored: {100 * ignored / total:.2f} %" in out and "No problem found" in out
    assert "    11: " in out and out.count(" masks: ignored") == 1
    assert summary["mask_values"][-1] == {
        "value": 2, "share": pytest.approx(25 / total), "masks": 1, "class": "car"
    }  # fmt: skip
    # Every class has a line with its exact name.
    lines = {line.split("│")[1].strip(): line for line in out.splitlines() if "│" in line}
    assert list(lines) == NAMES
    assert f"{100 * pixels[1] / sum(pixels):.3f}" in lines["[bold]sky[/]"]
    assert sorted(path.name for path in (folder / "check").iterdir()) == OUTPUTS
    with Image.open(folder / "check" / "contact_sheet.png") as sheet:
        assert sheet.width == 8 + 4 * 328


def test_every_problem_is_listed_and_the_rest_counted(eseg, folder, caplog):
    rng = np.random.default_rng(1)
    (folder / "images" / "0.png").write_bytes(b"no image")
    (folder / "masks" / "1.png").write_bytes(b"no image")
    save(folder, 2, rng.integers(0, 256, (40, 60, 3)), np.zeros((40, 61)))
    for index in range(10, 40):
        save(folder, index, np.zeros((32, 32, 3)), np.full((32, 32), 7))
    status, out, err = eseg(*flags(folder, "--output", folder / "check"))
    # The problems are printed once, and not logged as well.
    assert status == 2 and err == "" and caplog.records == []
    summary, _ = read(folder / "check")
    stray, unreadable, size = sorted(
        summary["problems"].items(), key=lambda item: (-len(item[1]), item[0])
    )
    assert "label 7" in stray[0] and len(stray[1]) == 30
    assert unreadable[1] == [str(folder / "images/0.png"), str(folder / "masks/1.png")]
    assert "differ in size" in size[0] and "40×60" in size[1][0] and "40×61" in size[1][0]
    assert "Problem in 30 files" in out and "and 10 more (--output writes all of them)" in out
    assert "Problem in 2 files" in out and "Problem in 1 file:" in out
    assert summary["images"] == 35 and summary["unusable_images"] == 33
    # Only images 3 and 4 are usable, and counted.
    masks = [np.asarray(Image.open(folder / "masks" / f"{index}.png")) for index in (3, 4)]
    assert summary["classes"][0]["pixels"] == sum(int((mask == 0).sum()) for mask in masks)
    assert (folder / "check" / "contact_sheet.png").is_file()


def test_nothing_usable(eseg, folder):
    for path in (folder / "masks").iterdir():
        path.write_bytes(b"")
    status, out, _ = eseg(*flags(folder, "--output", folder / "check"))
    assert status == 2 and "Problem in 5 files" in out
    names = sorted(path.name for path in (folder / "check").iterdir())
    assert names == ["classes.csv", "summary.json"]


def test_images_without_masks_are_listed_and_nothing_written(eseg, folder):
    for index in (1, 2):
        (folder / "masks" / f"{index}.png").unlink()
    status, out, err = eseg(*flags(folder, "--output", folder / "check"))
    # The values of the masks are printed despite the errors.
    assert status == 2 and "    11: " in out and " 3 masks: ignored" in out
    assert "2 files: image without a mask" in err and "1.png" in err and "2.png" in err
    assert not (folder / "check").exists()


def test_black_and_white_masks_are_read_as_training_reads_them(eseg, folder):
    for path in (folder / "masks").iterdir():
        mask = np.asarray(Image.open(path))
        Image.fromarray(np.where(mask == 1, 255, 0).astype("uint8")).save(path)
    arguments = ["--images", folder / "images", "--masks", folder / "masks"]
    output = ["--output", folder / "check", "--set", "num_classes=2"]
    status, out, _ = eseg("data-check", *arguments, *output)
    assert status == 0
    summary, _ = read(folder / "check")
    assert [row["images"] for row in summary["classes"]] == [5, 5]
    assert [row["class"] for row in summary["classes"]] == ["class 0", "class 1"]
    assert summary["ignored_share"] == 0


def test_street_scenes(eseg, tmp_path):
    changes = ["--set", "val_examples=3", "--set", "image_size=64,96"]
    arguments = ["--experiment", "smoke/street_scenes", "--split", "validation", *changes]
    status, out, _ = eseg("data-check", *arguments, "--output", tmp_path / "check")
    assert status == 0 and "3 images of 64×96" in out
    summary, _ = read(tmp_path / "check")
    masks = [render_scene(index, "validation", (64, 96))[1] for index in range(3)]
    expected = [sum(int((m == label).sum()) for m in masks) for label in range(len(CLASS_NAMES))]
    assert [row["pixels"] for row in summary["classes"]] == expected


def test_palettes_of_both_splits_are_compared(eseg, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from eseg_keras.training import Experiment\n\n\ndef get_experiment():\n"
        "    return Experiment(num_classes=2)\n"
    )
    for split, color in (("train", (200, 0, 0)), ("val", (0, 200, 0))):
        for kind in ("images", "annotations"):
            (tmp_path / kind / split).mkdir(parents=True)
        mask = Image.fromarray(np.eye(32, dtype="uint8"), "P")
        mask.putpalette([0, 0, 0, *color])
        mask.save(tmp_path / "annotations" / split / "a.png")
        mask.convert("RGB").save(tmp_path / "images" / split / "a.png")
    arguments = ["data-check", "--experiment", tmp_path / "mine.py", "--data_dir", tmp_path]
    for split in ("train", "validation"):
        status, out, _ = eseg(*arguments, "--split", split)
        assert status == 2
        assert "Problem in 1 file: palettes differ: index 1 is (200, 0, 0) in" in out
    by_color = "mask_colors=0,0,0:0;200,0,0:1;0,200,0:1"
    assert eseg(*arguments, "--set", by_color)[0] == 0


def test_an_experiment_is_counted_in_the_size_of_its_files(eseg, folder):
    (folder / "mine.py").write_text(
        "from eseg_keras.training import Experiment\n\n\ndef get_experiment():\n"
        "    return Experiment(num_classes=3, class_map={11: 255}, long_side=32,\n"
        "                      train_images='images', train_masks='masks')\n"
    )
    arguments = ["--experiment", folder / "mine.py", "--data_dir", folder]
    status, out, _ = eseg("data-check", *arguments)
    assert status == 0 and "4 of 40×60, 1 of 48×64" in out
    status, _, err = eseg("data-check", *arguments, "--split", "validation")
    assert status == 2 and "images/val" in err


def test_images_without_labels_are_counted(eseg, folder):
    save(folder, 2, np.zeros((40, 60, 3)), np.full((40, 60), 11))
    status, out, _ = eseg(*flags(folder))
    assert status == 0 and "Images without any label: 1" in out


def test_mistakes_get_one_sentence(eseg, folder):
    images, masks = folder / "images", folder / "masks"
    both = ["--images", images, "--masks", masks]
    for arguments, message in [
        ([], "Pass either --images"),
        (["--images", images], "must be used together"),
        ([*both, "--experiment", "x"], "Pass either --images"),
        ([*both, "--data_dir", folder], "--data_dir .*: pass only one of them"),
        (both, r"No classes given\..* The masks contain 0, 1, 11, 2\."),
        ([*both, "--set", "class_names=a,b,a"], "class_names must be unique"),
        ([*both, "--set", "num_classes=3", "--split", "train"], "--split requires --experiment"),
        ([*both, "--set", "num_classes=3", "--set", "epochs=3"], "'epochs' has no effect"),
        ([*both, "--set", "num_classes=300"], "num_classes"),
        (["--experiment", "camvid/eseg"], "camvid/eseg_lite_s"),
        (["--experiment", "camvid/eseg_lite_s"], "pass data_dir"),
        (["--experiment", "smoke/street_scenes", "--set", "class_map=1:2"], "has no effect"),
        (["--experiment", "camvid/eseg_lite_s", "--set", "long_side=64"], "has no effect"),
        (["--experiment", "imagenet/eseg_lite_s"], "is a classification experiment"),
    ]:
        status, out, err = eseg("data-check", *arguments, "--output", folder / "check")
        assert status == 2, arguments
        assert re.search(message, err) and err.count("\n") == 1 and out == ""
        assert not (folder / "check").exists()


def test_values_that_become_no_class(eseg, folder):
    colors = np.array([(0, 0, 0), (200, 0, 0), (0, 0, 90)])
    for path in (folder / "masks").iterdir():
        mask = np.asarray(Image.open(path))
        Image.fromarray(colors[np.minimum(mask, 2)].astype("uint8")).save(path)
    status, out, _ = eseg(*flags(folder))
    assert status == 2 and "is a colour mask" in out
    assert "(200, 0, 0): " in out and out.count(" 5 masks: no class (an error)") == 3
    status, out, _ = eseg(*flags(folder), "--set", "mask_colors=0,0,0:0;200,0,0:1")
    assert status == 2 and "5 masks: road" in out and "5 masks: [bold]sky[/]" in out
    assert out.count(" 5 masks: no class (an error)") == 1


def test_what_was_skipped_is_counted_at_the_end(eseg, folder):
    for name in ("a.gif", "b.gif", "c.txt", ".hidden.gif"):
        (folder / "images" / name).write_bytes(b"")
    status, _, err = eseg(*flags(folder))
    assert status == 0 and err == f"{folder / 'images'}: skipped 2 .gif, 1 .txt\n"


def test_keys_are_those_of_an_experiment():
    keys = {*READING, *command.CLASSES, *command.FOLDERS, *command.SCENES}
    assert keys <= set(Experiment.__dataclass_fields__)
