"""Score a predictor on labelled images."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from eseg_keras.data.images.image_reader import ImageFileError
from eseg_keras.evaluation.rules import (
    Rules,
    check_rules,
    count_pixels,
    evaluation_of_matrix,
    image_scores,
)
from eseg_keras.evaluation.scores import Evaluation, ImageScores
from eseg_keras.inference.prediction import Prediction
from eseg_keras.inference.workers import map_ahead

# Number of threads that read examples, and of examples that are read ahead.
_READERS = 2


def evaluate(
    predictor,
    examples,
    *,
    rules: Rules = "default",
    on_image: Callable[[Prediction, np.ndarray, ImageScores], None] | None = None,
) -> Evaluation:
    """Score a predictor on images with masks, at the size of each mask.

    Args:
        predictor: A `Predictor`, which determines the input size of the network, or an
            `ExportedPredictor`.
        examples: Images and masks, such as `eseg_keras.data.load(...)` or
            `eseg_keras.data.open_folders(...)`: an object with `len(examples)`,
            `examples.read(index)`, which returns an image, uint8 [H, W, 3], and its mask, uint8
            [H, W], and `examples.name(index)`.
        rules: `"default"`: mean IoU over the classes that occur in masks or predictions.
            `"cityscapes"`: as `"default"` for the 19 classes of Cityscapes, and the IoU of the
            seven categories. `"ade20k"`: mean IoU over all 150 classes, with 0 for absent ones, and
            the score of the challenge. The results are those of the official scripts.
        on_image: Function called after each image with its prediction, its mask and its scores.

    Returns:
        The scores. Pixels with the predictor's ignore label in the mask are excluded; labelled
        pixels without a predicted class count as misclassified.

    Raises:
        ValueError: If the rules do not exist or are for another number of classes, if the predictor
            has an `image_range`, or if there are no images; also if an image cannot be used, or a
            mask has labels other than the classes and the ignore label: the message then names the
            image.

    Example:

    >>> import eseg_keras
    >>> from eseg_keras.evaluation import evaluate
    >>> from eseg_keras.inference import Predictor
    >>> from eseg_keras.training import Experiment
    >>> from eseg_keras.training.data import open_examples
    >>> model = eseg_keras.ESeg.from_preset("eseg_lite_s_streets")
    >>> scenes = Experiment(data="street_scenes", image_size=(96, 192), val_examples=2)
    >>> evaluate(Predictor(model), open_examples(scenes, "validation")).num_images
    2
    """
    check_rules(rules, predictor.num_classes)
    if not len(examples):
        raise ValueError("There is nothing to evaluate: the data set has no images.")
    return score_pairs(predictions_and_masks(predictor, examples), rules, on_image)


def score_pairs(
    pairs: Iterable[tuple[Prediction, np.ndarray]],
    rules: Rules = "default",
    on_image: Callable[[Prediction, np.ndarray, ImageScores], None] | None = None,
) -> Evaluation:
    """Score pairs of predictions and masks, at least one; see `evaluate`."""
    total, images = 0, []
    for prediction, mask in pairs:
        classes = prediction.class_names
        matrix = count_pixels(
            mask, prediction.label_map, len(classes), prediction.ignore_label, prediction.name
        )
        total += matrix
        images.append(image_scores(prediction.name, matrix))
        if on_image is not None:
            on_image(prediction, mask, images[-1])
    return evaluation_of_matrix(total, classes, len(images), rules, images)


def predictions_and_masks(predictor, examples) -> Iterator[tuple[Prediction, np.ndarray]]:
    """Yield the prediction and the mask of each example, while the next examples are read."""
    if predictor.image_range is not None:
        raise ValueError(
            "The images of examples have values 0..255 already. Received a predictor with "
            f"image_range={predictor.image_range}: set image_range of the examples instead, such "
            "as in open_folders."
        )
    read = map_ahead(examples.read, range(len(examples)), _READERS, _READERS)
    for index, (image, mask) in enumerate(read):
        name = examples.name(index)
        if mask.size > predictor.max_pixels:
            raise ValueError(
                f"{name}: has {mask.size:,} pixels, more than the limit of "
                f"{predictor.max_pixels:,}: if that is intended, raise max_pixels"
            )
        try:
            prediction = predictor(image)
        except ImageFileError as error:
            raise ImageFileError(name, error.problems) from error
        yield replace(prediction, name=name), mask
