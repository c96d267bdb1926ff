import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from eseg_keras import ESeg
from eseg_keras.cli import evaluate as command
from eseg_keras.data.geometry import resize_long_side
from eseg_keras.data.scenes import CLASS_NAMES, PALETTE
from eseg_keras.training import Experiment
from eseg_keras.training.run_files import write_config


def test_scores_equal_those_of_a_plain_confusion_matrix(eseg, preset, scenes, tmp_path):
    folders = ["--images", scenes / "images", "--masks", scenes / "annotations"]
    output = tmp_path / "new" / "scores.json"
    status, out, _ = eseg("evaluate", "--preset", preset, *folders, "--output", output)
    assert status == 0
    model = ESeg.from_preset(str(preset))
    confusion = np.zeros((8, 8), int)
    for index in range(2):
        labels = np.asarray(Image.open(scenes / "annotations" / f"{index}.png"))
        predicted = model.segment(np.asarray(Image.open(scenes / "images" / f"{index}.png")))
        for row, column in zip(labels.ravel(), predicted.ravel(), strict=True):
            if row != 255:
                confusion[row, column] += 1
    scores = json.loads(output.read_text())
    union = confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    for name, hits, size in zip(CLASS_NAMES, np.diag(confusion), union, strict=True):
        expected = None if size == 0 else pytest.approx(hits / size)
        assert scores["per_class_iou"][name] == expected
        assert name in out
    seen = union > 0
    assert scores["mean_iou"] == pytest.approx((np.diag(confusion)[seen] / union[seen]).mean())
    assert scores["pixel_accuracy"] == pytest.approx(np.diag(confusion).sum() / confusion.sum())
    assert scores["num_images"] == 2


def test_label_maps_reach_the_masks(eseg, preset, scenes, tmp_path):
    folders = ["--images", scenes / "images", "--masks", scenes / "annotations"]
    to_road = ",".join(f"{label}:0" for label in range(1, 8))
    output = tmp_path / "scores.json"
    status, _, _ = eseg(
        "evaluate", "--preset", preset, *folders, "--set", f"label_map={to_road}",
        "--output", output,
    )  # fmt: skip
    assert status == 0
    scores = json.loads(output.read_text())
    assert scores["per_class_iou"]["road"] == pytest.approx(scores["pixel_accuracy"])


def test_a_run_brings_its_own_images(eseg, preset, tmp_path):
    experiment = Experiment(data="street_scenes", val_examples=2, image_size=(64, 96))
    write_config(tmp_path / "run", experiment, None)
    (tmp_path / "run" / "preset").symlink_to(preset)
    status, out, _ = eseg("evaluate", "--model_dir", tmp_path / "run")
    assert status == 0 and "2 images" in out


@pytest.fixture
def colored_run(preset, scenes, tmp_path):
    """A run whose masks are in colour with a suffix and one class too many, and such a folder."""
    extra = (1, 2, 3)
    colors = {color: label for label, color in enumerate(PALETTE)} | {extra: 9}
    experiment = Experiment(
        class_names=CLASS_NAMES, mask_colors=colors, label_map={9: 255}, mask_suffix="_c",
        long_side=64, learning_rate=0.01,
    )  # fmt: skip
    write_config(tmp_path / "run", experiment, tmp_path)
    (tmp_path / "run" / "preset").symlink_to(preset)
    (tmp_path / "masks").mkdir()
    for index in range(2):
        labels = np.asarray(Image.open(scenes / "annotations" / f"{index}.png"))
        picture = np.array([*PALETTE, *[(0, 0, 0)] * 247, extra], "uint8")[labels]
        picture[:3] = extra
        Image.fromarray(picture).save(tmp_path / "masks" / f"{index}_c.png")
    return tmp_path


def test_other_images_are_read_as_the_run_read_its_own(eseg, preset, scenes, colored_run):
    folders = ["--images", scenes / "images", "--masks", colored_run / "masks"]

    def scores(*flags):
        output = colored_run / "scores.json"
        arguments = ["--model_dir", colored_run / "run", *folders, "--output", output, *flags]
        status, _, err = eseg("evaluate", *arguments)
        assert status == 0, err
        return json.loads(output.read_text())

    def expected(long_side):
        model = ESeg.from_preset(str(preset))
        right = total = 0
        for index in range(2):
            labels = np.asarray(Image.open(scenes / "annotations" / f"{index}.png")).copy()
            labels[:3] = 255
            image = np.asarray(Image.open(scenes / "images" / f"{index}.png"))
            image, labels = resize_long_side(image, labels, long_side)
            right += (model.segment(image) == labels)[labels != 255].sum()
            total += (labels != 255).sum()
        return right / total

    run, larger = scores(), scores("--long_side", 100)
    assert run["pixel_accuracy"] == pytest.approx(expected(64), rel=1e-6)
    assert larger["pixel_accuracy"] == pytest.approx(expected(100), rel=1e-6)
    assert run["pixel_accuracy"] != larger["pixel_accuracy"]
    # The flags come last.
    to_road = ",".join(f"{label}:0" for label in range(1, 10))
    mapped = scores("--set", f"label_map={to_road}")
    assert mapped["per_class_iou"]["road"] == pytest.approx(mapped["pixel_accuracy"])


def test_keys_without_effect_are_refused_by_name(eseg, preset, scenes):
    preset = ["--preset", preset]
    folders = [*preset, "--images", scenes / "images", "--masks", scenes / "annotations"]
    experiment = [*preset, "--data_dir", scenes, "--experiment", "folders/eseg_lite_s"]
    street = [*preset, "--experiment", "smoke/street_scenes"]
    for arguments, assignment in [
        (folders, "learning_rate=3"),
        (folders, "val_images=elsewhere"),
        (folders, "ignore_label=0"),
        (experiment, "batch_size=2"),
        (experiment, "val_examples=2"),
        (street, "label_map=1:0"),
    ]:
        status, _, err = eseg("evaluate", *arguments, "--set", assignment)
        assert status == 2 and err.count("\n") == 1
        assert f"'{assignment.partition('=')[0]}' has no effect" in err
    status, _, err = eseg("evaluate", *street, "--long_side", 64)
    assert status == 2 and "'long_side' has no effect" in err


def test_keys_with_an_effect_are_experiment_keys():
    keys = {field.name for field in dataclasses.fields(Experiment)}
    assert set(command.FOLDERS) | set(command.SCENES) <= keys


def test_mistakes_get_one_sentence(eseg, preset, scenes, tmp_path):
    images, masks = scenes / "images", scenes / "annotations"
    (tmp_path / "empty").mkdir()
    for arguments, message in [
        (["--preset", preset], "Which images?"),
        (["--preset", preset, "--images", images], "go together"),
        (
            ["--preset", preset, "--images", images, "--masks", masks, "--experiment", "x"],
            "give one of them",
        ),
        (["--preset", preset, "--experiment", "camvid/eseg_lite"], "camvid/eseg_lite_s"),
        (["--preset", preset, "--experiment", "camvid/eseg_lite_s"], "8 classes"),
        (["--model_dir", tmp_path / "empty"], "holds no run"),
        (
            ["--preset", preset, "--images", images, "--masks", masks, "--set", "label=1:2"],
            "no 'label'",
        ),
    ]:
        status, _, err = eseg("evaluate", *arguments)
        assert status == 2
        assert message in err and err.count("\n") == 1


def test_files_that_do_not_fit_are_listed(eseg, preset, scenes, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    Image.fromarray(np.full((64, 96), 9, "uint8")).save(masks / "0.png")
    flags = ["--images", scenes / "images", "--masks", masks]
    status, _, err = eseg("evaluate", "--preset", preset, *flags)
    assert status == 2
    assert "Traceback" not in err and "1.png" in err
