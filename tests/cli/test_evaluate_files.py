"""Tests of `eseg evaluate --predictions`."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

SIZE = (24, 40)


@pytest.fixture
def folder(tmp_path):
    """Three predictions and masks with the classes 0, 1, 2; label 11 is ignored."""
    rng = np.random.default_rng(0)
    for name, values in (("results", (0, 1, 2)), ("masks", (0, 1, 2, 11))):
        (tmp_path / name).mkdir()
        for index in range(3):
            labels = rng.choice(values, SIZE).astype(np.uint8)
            Image.fromarray(labels).save(tmp_path / name / f"{index}.png")
    return tmp_path


def flags(folder, *more):
    return ["evaluate", "--predictions", folder / "results", "--masks", folder / "masks", *more]


READING = ("--set", "class_names=road,[b]sky,car", "--set", "class_map=11:255")


def test_scores_and_report(eseg, folder):
    outputs = ["--output", folder / "scores.json", "--report", folder / "report"]
    status, out, err = eseg(*flags(folder, *READING, *outputs))
    assert status == 0, err
    masks, found = (
        np.array([np.asarray(Image.open(folder / name / f"{i}.png")) for i in range(3)])
        for name in ("masks", "results")
    )
    labelled = masks != 11
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["pixel_accuracy"] == pytest.approx((masks == found)[labelled].mean())
    assert scores["num_images"] == 3 and scores["class_names"] == ["road", "[b]sky", "car"]
    assert f"{100 * scores['mean_iou']:.1f}" in out
    with open(folder / "report" / "images.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [str(folder / "results" / f"{i}.png") for i in range(3)]
    page = (folder / "report" / "index.html").read_text("utf-8")
    # Without images, each article shows mask and prediction only.
    assert page.count("<article>") == 3
    assert page.count("<figcaption>Mask<") == page.count("<figcaption>Prediction<") == 3
    assert "<figcaption>Image<" not in page and "<dt>Rules</dt><dd>default</dd>" in page


def test_rules_of_a_benchmark(eseg, tmp_path):
    labels = np.resize(np.arange(1, 151), SIZE).astype(np.uint8)
    for name in ("results", "masks"):
        (tmp_path / name).mkdir()
        Image.fromarray(labels).save(tmp_path / name / "ADE_val_00000001.png")
    more = ["--rules", "ade20k", "--output", tmp_path / "scores.json"]
    status, out, _ = eseg(*flags(tmp_path, *more))
    assert status == 0 and "ADE20K score" in out
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["score"] == 1 and scores["per_class_iou"]["wall"] == 1
    # Read as class ids, the same files have invalid labels.
    status, _, err = eseg(*flags(tmp_path, *more, "--prediction_ids", "classes"))
    assert status == 2 and "150" in err


def test_mistakes_get_one_sentence(eseg, folder):
    for more, message in [
        ([], "num_classes"),
        (["--set", "num_classes=2"], "has the label 2"),
        (["--set", "epochs=2"], "'epochs' has no effect"),
        (["--rules", "cityscapes", "--set", "num_classes=19"], "--set has no effect"),
        (["--preset", "x", *READING], "--preset has no effect with --predictions"),
        (["--flip", *READING], "--flip has no effect with --predictions"),
        (["--images", "x", *READING], "--images has no effect"),
        (["--submission", "x", *READING], "--submission has no effect"),
        (["--output", folder / "scores.txt", *READING], ".json"),
        ([*READING, "--max_pixels", "100"], "0.png: has 960 pixels"),
    ]:
        status, out, err = eseg(*flags(folder, *more))
        assert (status, out, err.count("\n")) == (2, "", 1), (more, out, err)
        assert message in err
    status, _, err = eseg("evaluate", "--predictions", folder / "results")
    assert status == 2 and "--predictions and --masks must be used together" in err
    status, _, err = eseg("evaluate", "--masks", folder / "masks", "--rules", "ade20k")
    assert status == 2 and "No model given" in err
    status, _, err = eseg("evaluate", "--preset", "x", "--rules", "ade20k")
    assert status == 2 and "--rules has no effect without --predictions" in err
