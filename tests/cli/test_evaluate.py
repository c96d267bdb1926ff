import csv
import dataclasses
import json
import sys

import numpy as np
import pytest
from PIL import Image

from eseg_keras import ESeg
from eseg_keras.cli import evaluate as command
from eseg_keras.data.geometry import fit_window, resize_long_side
from eseg_keras.export import export_onnx
from eseg_keras.street_scenes import CLASS_NAMES, PALETTE, scene_images
from eseg_keras.training import Experiment
from eseg_keras.training.run_files import write_config

# Few images of many sizes: tracing a graph for each size takes longer than eager execution.
pytestmark = pytest.mark.usefixtures("eagerly")


def enlarged(logits, size):
    """Resize logits bilinearly with half-pixel centres, one axis at a time."""
    for axis, side in enumerate(size):
        count = logits.shape[axis]
        places = np.clip((np.arange(side) + 0.5) * count / side - 0.5, 0, count - 1)
        low = np.floor(places).astype(int)
        high = np.minimum(low + 1, count - 1)
        weight = (places - low).reshape([-1 if a == axis else 1 for a in range(3)])
        below, above = np.take(logits, low, axis), np.take(logits, high, axis)
        logits = below * (1 - weight) + above * weight
    return logits


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
        "evaluate", "--preset", preset, *folders, "--set", f"class_map={to_road}",
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


def test_the_training_masks_decide_whether_255_is_a_class(eseg, small_eseg, tmp_path):
    small_eseg(num_classes=2).save_to_preset(tmp_path / "two")
    for split, values in (("train", [0, 1, 255]), ("val", [0, 0, 255])):
        for kind in ("images", "annotations"):
            (tmp_path / kind / split).mkdir(parents=True)
        Image.new("RGB", (48, 32)).save(tmp_path / "images" / split / "a.png")
        mask = Image.fromarray(np.array([values], "uint8")).resize((48, 32), 0)
        mask.save(tmp_path / "annotations" / split / "a.png")
    data = ["--experiment", "folders/eseg_lite_s", "--data_dir", tmp_path, "--set", "num_classes=2"]
    output = tmp_path / "scores.json"
    status, _, err = eseg("evaluate", "--preset", tmp_path / "two", *data, "--output", output)
    assert status == 0, err
    # The validation masks alone look black and white.
    assert json.loads(output.read_text())["per_class_accuracy"]["class 1"] is None


@pytest.fixture
def colored_run(preset, scenes, tmp_path):
    """Folder with a run that reads colour masks, and with such masks.

    The names of the masks have a suffix, and one colour is ignored.
    """
    extra = (1, 2, 3)
    colors = {color: label for label, color in enumerate(PALETTE)} | {extra: 9}
    experiment = Experiment(
        class_names=CLASS_NAMES, mask_colors=colors, class_map={9: 255}, mask_suffix="_c",
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

    model = ESeg.from_preset(str(preset))

    def at_long_side(image, long_side):
        """Return the logits of the image resized to this longer side."""
        seen, _ = resize_long_side(image, image[..., 0], long_side)
        return model.predict_on_batch(seen[None])[0]

    def in_window(image, size):
        height, width = image.shape[:2]
        scale = min(size[0] / height, size[1] / width)
        seen, _ = fit_window(image, image[..., 0], size)
        logits = model.predict_on_batch(seen[None])[0]
        return logits[: round(height * scale), : round(width * scale)]

    def expected(look, size):
        """Return the pixel accuracy at the size of the masks; `look` computes the logits."""
        right = total = 0
        for index in range(2):
            labels = np.asarray(Image.open(scenes / "annotations" / f"{index}.png")).copy()
            labels[:3] = 255
            logits = look(np.asarray(Image.open(scenes / "images" / f"{index}.png")), size)
            predicted = enlarged(logits, labels.shape).argmax(-1)
            right += (predicted == labels)[labels != 255].sum()
            total += (labels != 255).sum()
        return right / total

    def about(share):
        return pytest.approx(share, abs=3 / (64 * (96 + 128)))  # A tolerance of three pixels.

    run, larger = scores()["pixel_accuracy"], scores("--long_side", 100)["pixel_accuracy"]
    window = scores("--set", "eval_size=80,80")["pixel_accuracy"]
    assert run == about(expected(at_long_side, 64))
    assert larger == about(expected(at_long_side, 100))
    assert window == about(expected(in_window, (80, 80)))
    assert len({run, larger, window}) == 3
    # --long_side takes precedence over eval_size.
    assert scores("--set", "eval_size=80,80", "--long_side", 100)["pixel_accuracy"] == larger
    # --set takes precedence over the settings of the run.
    to_road = ",".join(f"{label}:0" for label in range(1, 10))
    mapped = scores("--set", f"class_map={to_road}")
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
        (folders, "val_split=test"),
        (street, "class_map=1:0"),
        (street, "long_side=64"),
    ]:
        status, _, err = eseg("evaluate", *arguments, "--set", assignment)
        assert status == 2 and err.count("\n") == 1
        assert f"'{assignment.partition('=')[0]}' has no effect" in err


def test_keys_with_an_effect_are_experiment_keys():
    keys = {field.name for field in dataclasses.fields(Experiment)}
    assert {*command.FOLDERS, *command.SCENES, *command.DATA_SETS} <= keys


def test_mistakes_get_one_sentence(eseg, preset, scenes, tmp_path):
    images, masks = scenes / "images", scenes / "annotations"
    folders = ["--preset", preset, "--images", images, "--masks", masks]
    (tmp_path / "empty").mkdir()
    for arguments, message in [
        (["--preset", preset], "No images given"),
        (["--preset", preset, "--images", images], "must be used together"),
        (["--preset", preset, "--masks", masks], "must be used together"),
        (
            ["--preset", preset, "--experiment", "imagenet/eseg_lite_s"],
            "is a classification experiment",
        ),
        ([*folders, "--data_dir", scenes], "both name the images: pass only"),
        ([*folders, "--output", "scores.txt"], "Received: scores.txt"),
        ([*folders, "--tta", "--scales", 1], "both set the scales"),
        ([*folders, "--overlap", 8], "overlap requires window"),
        ([*folders, "--report", images / "0.png"], "must be a folder"),
        ([*folders, "--output", images / "0.png" / "a.csv"], "0.png is not a folder"),
        ([*folders, "--report", images / "0.png" / "new" / "a"], "0.png is not a folder"),
        ([*folders, "--min_confidence", 2], "from 0 to 1"),
        ([*folders, "--submission", tmp_path / "new"], "needs a model with the class names of"),
        (
            ["--preset", preset, "--images", images, "--masks", masks, "--experiment", "x"],
            "pass only one of them",
        ),
        (["--preset", preset, "--experiment", "camvid/eseg_lite"], "camvid/eseg_lite_s"),
        (["--preset", preset, "--experiment", "camvid/eseg_lite_s"], "8 classes"),
        (["--model_dir", tmp_path / "empty"], "contains no run"),
        (
            ["--preset", preset, "--images", images, "--masks", masks, "--set", "label=1:2"],
            "no 'label'",
        ),
    ]:
        status, _, err = eseg("evaluate", *arguments)
        assert status == 2
        assert message in err and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_files_with_too_many_pixels_are_listed_and_the_limit_can_be_raised(
    eseg, preset, scenes, monkeypatch
):
    flags = ["--images", scenes / "images", "--masks", scenes / "annotations"]
    status, _, err = eseg("evaluate", "--preset", preset, *flags, "--max_pixels", 7000)
    assert status == 2
    assert "has 8,192 pixels (64x128), more than the limit of 7,000" in err
    assert "images/1.png" in err and "annotations/1.png" in err and "0.png" not in err
    # Our limit replaces Pillow's own limit.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert eseg("evaluate", "--preset", preset, *flags, "--max_pixels", 8192)[0] == 0


def test_files_that_do_not_fit_are_listed(eseg, preset, scenes, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    Image.fromarray(np.full((64, 96), 9, "uint8")).save(masks / "0.png")
    flags = ["--images", scenes / "images", "--masks", masks]
    status, _, err = eseg("evaluate", "--preset", preset, *flags)
    assert status == 2
    assert "Traceback" not in err and "1.png" in err


def png(path, array):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(array).save(path)


def test_bad_files_are_told_and_nothing_is_written(eseg, preset, tmp_path):
    good, labels = np.zeros((64, 96, 3), "uint8"), np.zeros((64, 96), "uint8")
    cases = {
        "nothing": (None, None, "no image inside"),
        "tiny": (good[:1, :1], labels[:1, :1], "is 1x1 pixels"),
        "sizes": (good, labels[:-1], "image and mask differ in size"),
        "labels": (good, labels + 77, "has the label 77"),
        "truncated": (good, labels, "cannot be read as an image"),
    }
    outputs = ["--output", tmp_path / "scores.json", "--report", tmp_path / "report"]
    for name, (image, mask, message) in cases.items():
        images, masks = tmp_path / name / "images", tmp_path / name / "masks"
        images.mkdir(parents=True)
        masks.mkdir()
        if image is not None:
            png(images / "0.png", good)
            png(masks / "0.png", labels)
            png(images / "1.png", image)
            png(masks / "1.png", mask)
        if name == "truncated":
            content = (images / "1.png").read_bytes()
            (images / "1.png").write_bytes(content[: len(content) // 2])
        folders = ["--images", images, "--masks", masks]
        status, out, err = eseg("evaluate", "--preset", preset, *folders, *outputs)
        assert (status, out) == (2, "")
        assert message in err and "Traceback" not in err
        # The message names the file, or the folder if there is no file.
        assert (f"{name}/images/1.png" if image is not None else f"{name}/images") in err or (
            name == "labels" and "masks/1.png" in err
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(cases)


def test_the_flags_reach_the_predictor(eseg, preset, scenes, tmp_path):
    folders = ["--images", scenes / "images", "--masks", scenes / "annotations"]
    output = tmp_path / "scores.json"
    arguments = ["--preset", preset, *folders, "--output", output, "--min_confidence", 0.999]
    assert eseg("evaluate", *arguments)[0] == 0
    matrix = np.array(json.loads(output.read_text())["confusion_matrix"])
    # An untrained network has a low confidence everywhere.
    assert matrix[:, -1].sum() == matrix.sum() > 0


def test_outputs(eseg, preset, scenes, tmp_path):
    folders = ["--images", scenes / "images", "--masks", scenes / "annotations"]
    outputs = ["--output", tmp_path / "classes.csv", "--report", tmp_path / "report"]
    status, out, _ = eseg("evaluate", "--preset", preset, *folders, *outputs)
    assert status == 0
    names = ["classes.csv", "confusion_matrix.csv", "images.csv", "index.html", "scores.json"]
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == names
    table = (tmp_path / "classes.csv").read_text()
    assert table == (tmp_path / "report" / "classes.csv").read_text()
    assert [row["class"] for row in csv.DictReader(table.splitlines())] == list(CLASS_NAMES)
    page = (tmp_path / "report" / "index.html").read_text()
    assert str(preset) in page and str(scenes / "images" / "1.png") in page
    # The terminal shows the mean scores, and both images as the worst images.
    scores = json.loads((tmp_path / "report" / "scores.json").read_text())
    for name, key in [("mean accuracy", "mean_accuracy"), ("mean IoU", "mean_iou")]:
        assert f"{100 * scores[key]:.1f}" in next(line for line in out.splitlines() if name in line)
    worst = sorted(scores["images"], key=lambda image: image["mean_iou"])
    shown = [line for line in out.splitlines() if str(scenes / "images") in line]
    for line, image in zip(shown, worst, strict=True):
        assert image["name"] in line and f"{100 * image['mean_iou']:.1f}" in line
    assert "categor" not in out and "ADE20K" not in out


def test_a_report_needs_matplotlib(eseg, preset, scenes, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    folders = ["--images", scenes / "images", "--masks", scenes / "annotations"]
    report = ["--report", tmp_path / "report"]
    status, out, err = eseg("evaluate", "--preset", "no such preset", *folders, *report)
    assert (status, out) == (2, "")  # Fails before the network is loaded.
    assert 'pip install "eseg-keras[visualization]"' in err
    assert not list(tmp_path.iterdir())


def test_an_exported_file_is_scored(eseg, preset, scenes, tmp_path):
    file = tmp_path / "a.onnx"
    images = scene_images("test", 2, (64, 96))
    export_onnx(ESeg.from_preset(str(preset)), file, verification_images=images)
    folders = ["--images", scenes / "images", "--masks", scenes / "annotations"]
    scores = {}
    for source in (["--preset", preset], ["--exported", file]):
        output = tmp_path / "scores.json"
        status, out, _ = eseg("evaluate", *source, *folders, "--output", output)
        assert status == 0 and "mean IoU" in out
        scores[source[0]] = json.loads(output.read_text())
    exported, network = scores["--exported"], scores["--preset"]
    assert exported["per_class_iou"].keys() == network["per_class_iou"].keys()
    assert exported["mean_iou"] == pytest.approx(network["mean_iou"], abs=1e-3)
    for options, message in (
        (["--flip"], "--flip is for Keras networks"),
        (["--set", "long_side=64"], "--set long_side=none"),
        (["--max_pixels", "100"], " pixels"),
    ):
        status, _, err = eseg("evaluate", "--exported", file, *folders, *options)
        assert status == 2 and message in err
