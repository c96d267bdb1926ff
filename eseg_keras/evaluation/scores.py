"""The scores of an evaluation, and the JSON and CSV files with them."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eseg_keras.files import write_csv, write_json

SCORE_NAMES = {
    "score": "ADE20K score",
    "mean_iou": "mean IoU",
    "mean_category_iou": "mean IoU of categories",
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean accuracy",
    "frequency_weighted_iou": "frequency-weighted IoU",
}
"""{attribute of `Evaluation`: name in tables and reports}."""


@dataclasses.dataclass(frozen=True)
class ImageScores:
    """Scores of one image.

    Attributes:
        name: Name of the image.
        mean_iou: Mean IoU over the classes in the image's mask or label map; `None` without
            labelled pixels.
        pixel_accuracy: Share of the labelled pixels that are classified correctly; `None` without
            labelled pixels.
        num_pixels: Number of labelled pixels.
    """

    name: str
    mean_iou: float | None
    pixel_accuracy: float | None
    num_pixels: int


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores over a data set, all from one confusion matrix.

    Without labelled pixels, all means are 0.

    Attributes:
        mean_iou: Mean of the per-class IoU over the classes that occur in masks or predictions; by
            the rules of ADE20K, over all classes, with an IoU of 0 for absent classes.
        pixel_accuracy: Share of the labelled pixels that are classified correctly.
        mean_accuracy: Mean of the per-class accuracy over the classes that occur in the masks.
        frequency_weighted_iou: Mean of the per-class IoU, weighted by the labelled pixels of each
            class.
        per_class_iou: Dict from class name to IoU; `None` for a class that occurs neither in the
            masks nor in the predictions.
        per_class_accuracy: Dict from class name to the share of the class's labelled pixels that
            are classified correctly; `None` for a class that does not occur in the masks.
        num_images: Number of images.
        class_names: Names of the classes.
        confusion_matrix: int64 [C, C + 1]: number of labelled pixels by label (row) and prediction
            (column); the last column counts pixels without a predicted class.
        categories: By the rules of Cityscapes, dict from category to IoU, `None` for an absent
            category. `None` by other rules.
        mean_category_iou: By the rules of Cityscapes, mean IoU over the categories that occur.
            `None` by other rules.
        score: By the rules of ADE20K, the mean of `mean_iou` and `pixel_accuracy`. `None` by other
            rules.
        images: Scores of each image; may be empty.
    """

    mean_iou: float
    pixel_accuracy: float
    mean_accuracy: float
    frequency_weighted_iou: float
    per_class_iou: dict[str, float | None]
    per_class_accuracy: dict[str, float | None]
    num_images: int
    class_names: tuple[str, ...]
    confusion_matrix: np.ndarray
    categories: dict[str, float | None] | None = None
    mean_category_iou: float | None = None
    score: float | None = None
    images: tuple[ImageScores, ...] = ()

    def summary(self) -> dict:
        """Return the scores over all images as a dict for JSON.

        The dict excludes the class names, the confusion matrix, the scores of each image and scores
        that are `None`.
        """
        excluded = ("class_names", "confusion_matrix", "images")
        values = {name: value for name, value in vars(self).items() if name not in excluded}
        return {name: value for name, value in values.items() if value is not None}

    def as_dict(self) -> dict:
        """Return all attributes that are not `None` as a dict for JSON."""
        return self.summary() | {
            "class_names": list(self.class_names),
            "confusion_matrix": self.confusion_matrix.tolist(),
            "images": [dataclasses.asdict(scores) for scores in self.images],
        }


def worst_first(images: Sequence[ImageScores], count: int) -> list[ImageScores]:
    """Return the scores of the `count` images with the lowest mean IoU, the worst first."""
    scored = [scores for scores in images if scores.mean_iou is not None]
    return sorted(scored, key=lambda scores: scores.mean_iou)[:count]


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
