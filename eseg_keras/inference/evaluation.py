"""Scores of a model on labelled images."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from eseg_keras.metrics import SegmentationScores, check_labels


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Scores over a data set, all from one confusion matrix.

    Attributes:
        mean_iou: Mean of the per-class IoU over the classes that occur.
        pixel_accuracy: Share of the labelled pixels that are right.
        per_class_iou: From class name to IoU; `None` for a class that occurs neither in the masks
            nor in the predictions.
        num_images: Number of images.
    """

    mean_iou: float
    pixel_accuracy: float
    per_class_iou: dict[str, float | None]
    num_images: int

    def as_dict(self) -> dict:
        """Return the scores as a dict that JSON can hold."""
        return dataclasses.asdict(self)


def evaluate(model, batches: Iterable) -> Evaluation:
    """Score a model on batches of images and masks.

    Args:
        model: An `ESeg` model.
        batches: Pairs of (images [B, H, W, C], integer masks [B, H, W]), such as a dataset of
            `eseg_keras.data`.

    Returns:
        The scores. Pixels of the model's ignore label count nowhere.

    Raises:
        ValueError: If there is no batch.

    Example:

    >>> import numpy as np
    >>> import eseg_keras
    >>> from eseg_keras.inference import evaluate
    >>> model = eseg_keras.ESeg.from_preset("eseg_lite_s", num_classes=2, load_weights=False)
    >>> batch = np.zeros((1, 32, 32, 3), "uint8"), np.zeros((1, 32, 32), "uint8")
    >>> evaluate(model, [batch]).num_images
    1
    """
    metric = SegmentationScores(model.num_classes, ignore_label=model.ignore_label)
    num_images = 0
    for images, masks, *_ in batches:
        logits = model.predict_on_batch(images)
        metric.update_state(masks, logits)
        num_images += len(logits)
    if not num_images:
        raise ValueError("There is nothing to evaluate: the data set holds no images.")
    check_labels([metric], "evaluation")
    return evaluation_of(metric, model.class_names, num_images)


def evaluation_of(
    metric: SegmentationScores, class_names: Sequence[str] | None, num_images: int
) -> Evaluation:
    """Return the scores that a metric has counted.

    Args:
        metric: The metric.
        class_names: Names of its classes, or `None`.
        num_images: Number of images that it has seen.

    Returns:
        The scores.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.inference import evaluation_of
    >>> from eseg_keras.metrics import SegmentationScores
    >>> metric = SegmentationScores(num_classes=2)
    >>> metric.update_state(np.array([[[0, 0, 1, 255]]]), np.array([[[0, 1, 1, 1]]]))
    >>> evaluation_of(metric, ["road", "car"], num_images=1).per_class_iou
    {'road': 0.5, 'car': 0.5}
    """
    names = class_names or [f"class {label}" for label in range(metric.num_classes)]
    matrix, per_class = metric.confusion_matrix(), metric.per_class()
    seen = per_class[~np.isnan(per_class)]
    return Evaluation(
        mean_iou=float(seen.mean()) if len(seen) else 0.0,
        pixel_accuracy=float(np.trace(matrix) / max(matrix.sum(), 1)),
        per_class_iou={
            name: None if np.isnan(iou) else float(iou)
            for name, iou in zip(names, per_class, strict=True)
        },
        num_images=num_images,
    )
