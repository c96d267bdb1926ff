"""`eseg evaluate` on tiny copies of Cityscapes and ADE20K."""

import copy
import io
import json
import zipfile

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official
from PIL import Image

from eseg_keras import ESeg
from eseg_keras.data.datasets import ade20k, cityscapes

# Few images of many sizes: tracing a graph for each size takes longer than eager execution.
pytestmark = pytest.mark.usefixtures("eagerly")

SIZE = (40, 64)
CITYSCAPES = ["--experiment", "cityscapes/eseg_lite_s"]
# Images are scaled to fit into 64x64 pixels instead of 520x520.
ADE20K = ["--experiment", "ade20k/eseg_m", "--set", "eval_size=64,64"]


def photo_and_labels(seed, num_labels):
    rng = np.random.default_rng(seed)
    squares = rng.integers(0, num_labels, (SIZE[0] // 8, SIZE[1] // 8))
    labels = np.kron(squares, np.ones((8, 8))).astype(np.uint8)
    return rng.integers(0, 256, (*SIZE, 3), np.uint8), labels


def encoded(array, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


def write_zip(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Data directory with the archives of both data sets, not yet prepared."""
    directory = tmp_path_factory.mktemp("data")
    photos, labels = {}, {}
    for split, city in (("train", "aachen"), ("val", "munster"), ("test", "berlin")):
        for index in range(2):
            name = f"{split}/{city}/{city}_00000{index}_000019"
            photo, ids = photo_and_labels([len(split), index], 34)
            photos[f"leftImg8bit/{name}_leftImg8bit.png"] = encoded(photo)
            labels[f"gtFine/{name}_gtFine_labelIds.png"] = encoded(ids * (split != "test"))
    write_zip(directory / "leftImg8bit_trainvaltest.zip", photos)
    write_zip(directory / "gtFine_trainvaltest.zip", labels)
    files = {}
    for split, folder in (("train", "training"), ("val", "validation")):
        for index in range(2):
            photo, ids = photo_and_labels([len(folder), index], 151)
            name = f"ADE_{split}_{index:08}"
            files[f"ADEChallengeData2016/images/{folder}/{name}.jpg"] = encoded(photo, "JPEG")
            files[f"ADEChallengeData2016/annotations/{folder}/{name}.png"] = encoded(ids)
    write_zip(directory / "ADEChallengeData2016.zip", files)
    return directory


def untrained(directory, classes):
    model = ESeg(
        "fused_efficientnet_thin",
        num_classes=len(classes.class_names),
        min_level=3,
        max_level=5,
        decoder_channels=8,
        decoder_repeats=1,
        class_names=classes.class_names,
        palette=classes.palette,
    )
    model.save_to_preset(directory)
    return directory


@pytest.fixture(scope="module")
def cityscapes_preset(tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("presets") / "cityscapes", cityscapes.CLASSES)


@pytest.fixture(scope="module")
def ade20k_preset(tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("presets") / "ade20k", ade20k.CLASSES)


def official_scores(archive, results, folder):
    """Return the scores of the official script, which finds the submitted files itself."""
    truths = []
    with zipfile.ZipFile(archive) as files:
        for name in files.namelist():
            if "/val/" in name:
                truths.append(str(folder / name.rpartition("/")[-1]))
                (folder / name.rpartition("/")[-1]).write_bytes(files.read(name))
    options = copy.copy(official.args)
    options.evalInstLevelScore = options.JSONOutput = False
    options.quiet = True
    options.predictionPath, options.predictionWalk = str(results), None
    found = [official.getPrediction(options, truth) for truth in truths]
    return official.evaluateImgLists(found, truths, options)


def test_cityscapes(eseg, cityscapes_preset, data_dir, tmp_path):
    results, output = tmp_path / "results", tmp_path / "scores.json"
    status, out, err = eseg(
        "evaluate", "--preset", cityscapes_preset, *CITYSCAPES, "--data_dir", data_dir,
        "--submission", results, "--output", output, "--report", tmp_path / "report",
    )  # fmt: skip
    assert status == 0, err
    (tmp_path / "truths").mkdir()
    archive = data_dir / "gtFine_trainvaltest.zip"
    theirs = official_scores(archive, results, tmp_path / "truths")
    ours = json.loads(output.read_text())
    assert ours["mean_iou"] == pytest.approx(theirs["averageScoreClasses"], abs=1e-6)
    assert ours["mean_category_iou"] == pytest.approx(theirs["averageScoreCategories"], abs=1e-6)
    for name, iou in ours["per_class_iou"].items():
        expected = theirs["classScores"][name]
        if iou is None:
            assert np.isnan(expected)
        else:
            assert iou == pytest.approx(expected, abs=1e-6)
    for name, iou in ours["categories"].items():
        line = next(line for line in out.splitlines() if f"category {name} " in line)
        assert f"{100 * iou:.1f}" in line
    assert f"Submission: {results}, 2 label maps" in out
    assert (tmp_path / "report" / "index.html").is_file()


def test_the_test_split_of_cityscapes_is_only_predicted(
    eseg, cityscapes_preset, data_dir, tmp_path
):
    flags = ["--preset", cityscapes_preset, *CITYSCAPES, "--data_dir", data_dir]
    flags += ["--set", "val_split=test"]
    for outputs, message in [
        ([], "secret, so no scores can be computed: pass --submission"),
        (["--submission", tmp_path / "a", "--output", tmp_path / "a.json"], "no scores for"),
        (["--submission", tmp_path / "a", "--report", tmp_path / "b"], "no scores for"),
    ]:
        status, out, err = eseg("evaluate", *flags, *outputs)
        assert (status, out, err.count("\n")) == (2, "", 1) and message in err
    assert not list(tmp_path.iterdir())

    status, out, _ = eseg("evaluate", *flags, "--submission", tmp_path / "results")
    assert status == 0
    assert "Nothing was scored: the labels of the test split are secret." in out
    assert "IoU" not in out
    model = ESeg.from_preset(str(cityscapes_preset))
    for index in range(2):
        photo, _ = photo_and_labels([4, index], 34)
        label_map = np.asarray(
            Image.open(tmp_path / "results" / f"berlin_00000{index}_000019_labelIds.png")
        )
        labels = np.array(cityscapes.LABEL_IDS)[model.segment(photo)]
        np.testing.assert_array_equal(label_map, labels)
    assert len(list((tmp_path / "results").iterdir())) == 2

    # An unpacked folder of images gives the same submission.
    with zipfile.ZipFile(data_dir / "leftImg8bit_trainvaltest.zip") as archive:
        archive.extractall(tmp_path)
    images = ["--preset", cityscapes_preset, "--images", tmp_path / "leftImg8bit" / "test"]
    status, out, _ = eseg("evaluate", *images, "--submission", tmp_path / "again")
    assert status == 0 and "IoU" not in out
    for path in (tmp_path / "results").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_ade20k(eseg, ade20k_preset, data_dir, tmp_path):
    results, output = tmp_path / "results", tmp_path / "scores.json"
    status, out, err = eseg(
        "evaluate", "--preset", ade20k_preset, *ADE20K, "--data_dir", data_dir,
        "--submission", results, "--output", output,
    )  # fmt: skip
    assert status == 0, err
    intersection, union, correct, labelled = np.zeros(151), np.zeros(151), 0, 0
    for index in range(2):
        truth = photo_and_labels([10, index], 151)[1]
        picture = Image.open(results / f"ADE_val_{index:08}.png")
        predicted = np.asarray(picture)
        assert picture.mode == "L" and predicted.shape == SIZE and predicted.min() > 0
        predicted = np.where(truth > 0, predicted, 0)
        for label in range(1, 151):
            intersection[label] += ((predicted == label) & (truth == label)).sum()
            union[label] += ((predicted == label) | (truth == label)).sum()
        correct += (predicted == truth)[truth > 0].sum()
        labelled += (truth > 0).sum()
    mean_iou = (intersection[1:] / (union[1:] + 1e-16)).mean()
    ours = json.loads(output.read_text())
    assert ours["mean_iou"] == pytest.approx(mean_iou, abs=1e-6)
    assert ours["pixel_accuracy"] == pytest.approx(correct / labelled, abs=1e-6)
    assert ours["score"] == pytest.approx((mean_iou + correct / labelled) / 2, abs=1e-6)
    assert "ADE20K score" in out


def test_test_images_of_ade20k_are_a_folder_without_masks(
    eseg, ade20k_preset, cityscapes_preset, preset, tmp_path
):
    images = tmp_path / "testing"
    images.mkdir()
    for number, size in enumerate([(40, 64), (48, 33)], start=1):
        photo = np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(photo).save(images / f"ADE_test_{number:08}.jpg")
    # Pixels below the minimum confidence (here all) are submitted without a class.
    flags = ["--images", images, "--submission", tmp_path / "results"]
    status, out, _ = eseg("evaluate", "--preset", ade20k_preset, *flags, "--min_confidence", 1)
    assert status == 0 and "IoU" not in out
    for number, size in enumerate([(40, 64), (48, 33)], start=1):
        label_map = np.asarray(Image.open(tmp_path / "results" / f"ADE_test_{number:08}.png"))
        assert label_map.shape == size and not label_map.any()

    flags[-1] = tmp_path / "new"
    (tmp_path / "empty").mkdir()
    (images / "ADE_test_00000003.jpg").write_bytes(b"no picture")
    there = sorted(tmp_path.iterdir())
    for arguments, message in [
        (["--preset", preset, *flags], "needs a model with the class names of Cityscapes"),
        (["--preset", cityscapes_preset, *flags], "ADE_test_00000001.jpg is not named like the"),
        (["--preset", ade20k_preset, *flags], "ADE_test_00000003.jpg: cannot be read"),
        (["--preset", ade20k_preset, *flags, "--max_pixels", 100], "ADE_test_00000001.jpg: has"),
        (["--preset", ade20k_preset, *flags, "--set", "class_map=1:0"], "no effect"),
        (["--preset", ade20k_preset, *flags, "--output", tmp_path / "a.csv"], "no scores for"),
        (["--preset", ade20k_preset, "--images", images], "only a --submission can be written"),
        (
            ["--preset", ade20k_preset, *flags[:-1], tmp_path / "results"],
            "results exists and is not empty",
        ),
        (
            ["--preset", ade20k_preset, "--images", tmp_path / "empty", *flags[2:]],
            "empty: no image or video inside",
        ),
        (["--preset", ade20k_preset, "--images", tmp_path / "no", *flags[2:]], "no file or folder"),
    ]:
        status, out, err = eseg("evaluate", *arguments)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert message in err
    assert sorted(tmp_path.iterdir()) == there


def test_splits_that_do_not_exist(eseg, ade20k_preset, data_dir):
    flags = ["--preset", ade20k_preset, *ADE20K, "--data_dir", data_dir]
    status, _, err = eseg("evaluate", *flags, "--set", "val_split=test")
    assert status == 2 and "val_split must be one of train, validation" in err
    status, _, err = eseg("evaluate", *flags, "--set", "batch_size=2")
    assert status == 2 and "Keys with an effect: val_split, long_side, eval_size" in err


def test_a_model_of_other_classes(eseg, preset, data_dir, tmp_path):
    flags = ["--preset", preset, *CITYSCAPES, "--data_dir", data_dir, "--submission"]
    status, out, err = eseg("evaluate", *flags, tmp_path / "results")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "The model has 8 classes, but the images have 19" in err
    assert not list(tmp_path.iterdir())
