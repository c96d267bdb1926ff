import csv
import json

import numpy as np
import pytest

from eseg_keras.evaluation import ImageScores
from eseg_keras.evaluation.rules import evaluation_of_matrix
from eseg_keras.evaluation.scores import write_score_files, write_scores

MATRIX = np.array([[2, 1, 0, 1], [0, 4, 0, 0], [0, 0, 0, 0]])
IMAGES = (ImageScores("a,b.png", 0.5, 0.75, 8), ImageScores("empty.png", None, None, 0))
EVALUATION = evaluation_of_matrix(MATRIX, ["road", "car", "sky"], num_images=2, images=IMAGES)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_json_holds_everything(tmp_path):
    write_scores(EVALUATION, tmp_path / "new" / "scores.JSON")
    scores = json.loads((tmp_path / "new" / "scores.JSON").read_text())
    assert scores["confusion_matrix"] == MATRIX.tolist()
    assert scores["per_class_iou"] == {"road": 0.5, "car": 0.8, "sky": None}
    assert scores["class_names"] == ["road", "car", "sky"]
    assert scores["images"][1] == {
        "name": "empty.png", "mean_iou": None, "pixel_accuracy": None, "num_pixels": 0
    }  # fmt: skip
    assert scores["mean_iou"] == pytest.approx(0.65)
    assert "categories" not in scores and "score" not in scores


def test_csv_has_a_row_a_class(tmp_path):
    write_scores(EVALUATION, tmp_path / "classes.csv")
    assert rows(tmp_path / "classes.csv") == [
        ["class", "iou", "accuracy", "labelled_pixels", "predicted_pixels"],
        ["road", "0.5", "0.5", "4", "2"],
        ["car", "0.8", "1.0", "4", "5"],
        ["sky", "", "", "0", "0"],
    ]


def test_files_of_a_report(tmp_path):
    write_score_files(EVALUATION, tmp_path)
    names = ["classes.csv", "confusion_matrix.csv", "images.csv", "scores.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert rows(tmp_path / "images.csv") == [
        ["name", "mean_iou", "pixel_accuracy", "num_pixels"],
        ["a,b.png", "0.5", "0.75", "8"],
        ["empty.png", "", "", "0"],
    ]
    header, road, *_ = rows(tmp_path / "confusion_matrix.csv")
    assert header == ["label", "road", "car", "sky", "no class"]
    assert road == ["road", "2", "1", "0", "1"]


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.json \(everything\) or \.csv"):
        write_scores(EVALUATION, tmp_path / "scores.txt")
    assert not list(tmp_path.iterdir())
