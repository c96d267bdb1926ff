"""Write scores as JSON and CSV files."""

import dataclasses
from pathlib import Path

from eseg_keras.evaluation.scores import Evaluation, ImageScores
from eseg_keras.files import write_csv, write_json


def check_suffix(path: str | Path) -> None:
    """Raise ValueError if a file for scores is neither JSON nor CSV."""
    if Path(path).suffix.lower() not in (".json", ".csv"):
        raise ValueError(
            "The file for scores must end in .json (everything) or .csv (one row per class). "
            f"Received: {path}"
        )


def write_scores(evaluation: Evaluation, path: str | Path) -> None:
    """Write an evaluation to one file, atomically.

    A `.json` file contains all scores, the confusion matrix and the scores of each image. A `.csv`
    file has one row per class: IoU, accuracy, numbers of labelled and of predicted pixels.
    """
    path = Path(path)
    check_suffix(path)
    if path.suffix.lower() == ".json":
        write_json(path, evaluation.as_dict())
        return
    matrix = evaluation.confusion_matrix
    columns = (
        evaluation.class_names,
        evaluation.per_class_iou.values(),
        evaluation.per_class_accuracy.values(),
        matrix.sum(axis=1).tolist(),
        matrix.sum(axis=0)[:-1].tolist(),
    )
    names = ("class", "iou", "accuracy", "labelled_pixels", "predicted_pixels")
    write_csv(path, names, zip(*columns, strict=True))


def write_score_files(evaluation: Evaluation, directory: str | Path) -> None:
    """Write `scores.json`, `classes.csv`, `confusion_matrix.csv` and `images.csv` to a folder."""
    directory = Path(directory)
    write_scores(evaluation, directory / "scores.json")
    write_scores(evaluation, directory / "classes.csv")
    names = evaluation.class_names
    rows = zip(names, evaluation.confusion_matrix.tolist(), strict=True)
    write_csv(
        directory / "confusion_matrix.csv",
        ("label", *names, "no class"),
        ((name, *counts) for name, counts in rows),
    )
    write_csv(
        directory / "images.csv",
        [field.name for field in dataclasses.fields(ImageScores)],
        map(dataclasses.astuple, evaluation.images),
    )
