"""The scores of an evaluation."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class ImageScores:
    """Scores of one image.

    Attributes:
        name: Name of the image.
        mean_iou: Mean IoU over the classes in its mask or its label map; `None` if nothing is
            labelled.
        pixel_accuracy: Share of the labelled pixels that are right; `None` if there are none.
        num_pixels: Labelled pixels.
    """

    name: str
    mean_iou: float | None
    pixel_accuracy: float | None
    num_pixels: int


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores over a data set, all from one confusion matrix.

    Where nothing is labelled, the means are 0.

    Attributes:
        mean_iou: Mean of the per-class IoU: over the classes that occur in masks or predictions,
            or by the rules of ADE20K over all, where one that does not occur counts 0.
        pixel_accuracy: Share of the labelled pixels that are right.
        mean_accuracy: Mean of the per-class accuracy over the classes that occur in the masks.
        frequency_weighted_iou: Mean of the per-class IoU, weighted by the pixels of each class.
        per_class_iou: From class name to IoU; `None` for a class that occurs neither in the masks
            nor in the predictions.
        per_class_accuracy: From class name to the share of its pixels that are right; `None` for a
            class that does not occur in the masks.
        num_images: Number of images.
        class_names: Names of the classes.
        confusion_matrix: int64 [C, C + 1]: labelled pixels by label (row) and prediction (column);
            the last column holds those for which no class was predicted.
        categories: By the rules of Cityscapes from category to IoU, or `None` for one without a
            pixel; otherwise `None`.
        mean_category_iou: Mean over the categories that occur; otherwise `None`.
        score: By the rules of ADE20K the mean of mean IoU and pixel accuracy; otherwise `None`.
        images: Scores of each image; empty if they were not kept.
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

        It has neither the confusion matrix, nor the scores of each image, nor scores that are
        `None`.
        """
        excluded = ("class_names", "confusion_matrix", "images")
        values = {name: value for name, value in vars(self).items() if name not in excluded}
        return {name: value for name, value in values.items() if value is not None}

    def as_dict(self) -> dict:
        """Return everything as a dict for JSON."""
        return self.summary() | {
            "class_names": list(self.class_names),
            "confusion_matrix": self.confusion_matrix.tolist(),
            "images": [dataclasses.asdict(scores) for scores in self.images],
        }
