"""Count pixels by label and prediction, and compute scores by the rules of each benchmark."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from eseg_keras.evaluation.scores import Evaluation, ImageScores
from eseg_keras.metrics import SegmentationScores
from eseg_keras.metrics.confusion_matrix import per_class_iou

Rules = Literal["default", "cityscapes", "ade20k"]

NUM_CLASSES: Mapping[str, int] = {"cityscapes": 19, "ade20k": 150}
"""Number of classes of each benchmark."""

_CATEGORIES: Mapping[str, tuple[int, ...]] = {
    "flat": (0, 1),
    "construction": (2, 3, 4),
    "object": (5, 6, 7),
    "nature": (8, 9),
    "sky": (10,),
    "human": (11, 12),
    "vehicle": (13, 14, 15, 16, 17, 18),
}
"""Class ids of each category of Cityscapes."""


def count_pixels(
    mask: np.ndarray, label_map: np.ndarray, num_classes: int, ignore_label: int, name: str
) -> np.ndarray:
    """Count the labelled pixels of an image by label (row) and predicted class (column).

    Return int64 [C, C + 1]; the last column counts pixels whose prediction is not a class. Mask and
    label map are uint8 [H, W]. Raise ValueError, with a message that begins with `name`, if the
    mask has labels that are neither a class nor the ignore label.
    """
    mask, label_map = np.asarray(mask), np.asarray(label_map)
    if mask.shape != label_map.shape or mask.dtype != np.uint8 or label_map.dtype != np.uint8:
        raise ValueError(
            f"{name}: mask and prediction must be uint8 [H, W] of the same size. Received: mask "
            f"{mask.dtype} {list(mask.shape)}, prediction {label_map.dtype} {list(label_map.shape)}"
        )
    # Count all pairs of values: this is faster than masking pixels, and finds invalid labels.
    cells = (mask.astype(np.uint16) << 8) | label_map
    table = np.bincount(cells.ravel(), minlength=1 << 16).reshape(256, 256)

    pixels = table.sum(axis=1)
    pixels[:num_classes] = 0
    if 0 <= ignore_label < 256:
        pixels[ignore_label] = 0
        table[ignore_label] = 0
    if strays := np.flatnonzero(pixels).tolist():
        shown = ", ".join(f"{label} ({pixels[label]:,} pixels)" for label in strays[:8])
        shown += f" and {len(strays) - 8} more" * (len(strays) > 8)
        raise ValueError(
            f"{name}: the mask has labels that are neither one of the {num_classes} classes (0 to "
            f"{num_classes - 1}) nor the ignore label ({ignore_label}): {shown}. Map them with "
            "class_map of the data, such as class_map=11:255 to ignore label 11."
        )
    labelled = table[:num_classes]
    unpredicted = labelled[:, num_classes:].sum(axis=1, keepdims=True)
    return np.concatenate([labelled[:, :num_classes], unpredicted], axis=1)


def evaluation_of_matrix(
    matrix: np.ndarray,
    class_names: Sequence[str],
    num_images: int,
    rules: Rules = "default",
    images: Sequence[ImageScores] = (),
) -> Evaluation:
    """Compute all scores from a confusion matrix, int64 [C, C + 1], see `Evaluation`.

    With the rules `"cityscapes"`, the IoU of the categories is added. With `"ade20k"`, the mean IoU
    is over all classes, with 0 for absent ones, and the score of the challenge is added.

    Reference:
        - [Cityscapes](https://github.com/mcordts/cityscapesScripts),
          `evaluation/evalPixelLevelSemanticLabeling.py`
        - [ADE20K](https://github.com/CSAILVision/sceneparsing), `demoEvaluation.m`
    """
    check_rules(rules, len(matrix))
    iou, labelled = per_class_iou(matrix), matrix.sum(axis=1)
    with np.errstate(invalid="ignore"):  # NaN for classes without labelled pixels.
        accuracy = np.diagonal(matrix) / labelled
    mean_iou = _mean(np.nan_to_num(iou) if rules == "ade20k" else iou)
    pixel_accuracy = _pixel_accuracy(matrix)
    frequency = labelled / max(labelled.sum(), 1)
    categories = _category_iou(matrix) if rules == "cityscapes" else None
    return Evaluation(
        mean_iou=mean_iou,
        pixel_accuracy=pixel_accuracy,
        mean_accuracy=_mean(accuracy),
        frequency_weighted_iou=float(frequency @ np.nan_to_num(iou)),
        per_class_iou=_by_name(class_names, iou),
        per_class_accuracy=_by_name(class_names, accuracy),
        num_images=num_images,
        class_names=tuple(class_names),
        confusion_matrix=matrix,
        categories=None if categories is None else _by_name(_CATEGORIES, categories),
        mean_category_iou=None if categories is None else _mean(categories),
        score=(mean_iou + pixel_accuracy) / 2 if rules == "ade20k" else None,
        images=tuple(images),
    )


def evaluation_of(
    metric: SegmentationScores, class_names: Sequence[str] | None, num_images: int
) -> Evaluation:
    """Compute the scores from the counts of a metric.

    Args:
        metric: The metric that has counted the pixels.
        class_names: Names of the classes, or `None` for "class 0", "class 1", ...
        num_images: Number of images that the metric has counted.

    Returns:
        The scores.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.evaluation import evaluation_of
    >>> from eseg_keras.metrics import SegmentationScores
    >>> metric = SegmentationScores(num_classes=2)
    >>> metric.update_state(np.array([[[0, 0, 1, 255]]]), np.array([[[0, 1, 1, 1]]]))
    >>> evaluation_of(metric, ["road", "car"], num_images=1).per_class_iou
    {'road': 0.5, 'car': 0.5}
    """
    names = class_names or [f"class {label}" for label in range(metric.num_classes)]
    # The last column, of pixels whose prediction is not a class, is 0: the metric's matrix does not
    # contain these pixels (see `invalid_predictions`).
    matrix = np.pad(metric.confusion_matrix(), [(0, 0), (0, 1)])
    return evaluation_of_matrix(matrix, names, num_images)


def image_scores(name: str, matrix: np.ndarray) -> ImageScores:
    """Compute the scores of one image from its confusion matrix, int64 [C, C + 1]."""
    num_pixels = int(matrix.sum())
    if not num_pixels:
        return ImageScores(name, None, None, 0)
    return ImageScores(name, _mean(per_class_iou(matrix)), _pixel_accuracy(matrix), num_pixels)


def check_rules(rules: str, num_classes: int) -> None:
    """Raise ValueError if rules do not exist or are for another number of classes."""
    if rules != "default" and rules not in NUM_CLASSES:
        raise ValueError(f"rules must be default, cityscapes or ade20k. Received: rules={rules!r}")
    if num_classes != NUM_CLASSES.get(rules, num_classes):
        raise ValueError(
            f"The rules of {rules} are for the {NUM_CLASSES[rules]} classes of {rules}. Received: "
            f"{num_classes} classes"
        )


def _category_iou(matrix):
    """Return the IoU of every category of Cityscapes, float64, NaN for absent categories."""
    is_member = np.array([np.isin(np.arange(len(matrix)), c) for c in _CATEGORIES.values()], int)
    rows = is_member @ matrix
    return per_class_iou(np.hstack([rows[:, :-1] @ is_member.T, rows[:, -1:]]))


def _pixel_accuracy(matrix):
    return float(np.trace(matrix) / max(matrix.sum(), 1))


def _mean(values):
    """Return the mean of the values that are not NaN; 0 if all are NaN."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else 0.0


def _by_name(names, values):
    pairs = zip(names, values.tolist(), strict=True)
    return {name: None if np.isnan(value) else value for name, value in pairs}
