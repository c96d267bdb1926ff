"""Scoring a predictor on labelled images."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from eseg_keras.evaluation.pixel_table import count_pixels
from eseg_keras.evaluation.rules import Rules, check_rules, evaluation_of_matrix, image_scores
from eseg_keras.evaluation.scores import Evaluation, ImageScores
from eseg_keras.inference.prediction import Prediction

# Threads that read, and examples that lie ready while the network is busy with one.
_READERS = 2


def evaluate(
    predictor,
    examples,
    *,
    rules: Rules = "default",
    on_image: Callable[[Prediction, np.ndarray, ImageScores], None] | None = None,
) -> Evaluation:
    """Score a predictor on labelled images, each at the size of its own mask.

    Args:
        predictor: A `Predictor`; the size at which the network sees the images is its choice.
        examples: The images: `len(examples)`, `examples.read(index)`, which returns an image,
            uint8 [H, W, 3], and its mask, uint8 [H, W], and `examples.name(index)`. Such are
            `eseg_keras.data.load(...)` and `eseg_keras.data.open_folders(...)`.
        rules: `"default"`: mean IoU over the classes that occur in masks or predictions.
            `"cityscapes"`: the same for its 19 classes, and the IoU of its seven categories.
            `"ade20k"`: mean IoU over all 150 classes, where one that does not occur counts 0, and
            the score of the challenge. The figures are those of the official scripts.
        on_image: Called after each image with its prediction, its mask and its scores.

    Returns:
        The scores. Pixels of the predictor's ignore label in the masks count nowhere; labelled
        pixels for which no class was predicted are misses.

    Raises:
        ValueError: If there is no image, one cannot be used, or a mask holds other labels than the
            classes and the ignore label; the message names the image.

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
        raise ValueError("There is nothing to evaluate: the data set holds no images.")
    total, images = 0, []
    for prediction, mask in predictions_and_masks(predictor, examples):
        matrix = count_pixels(
            mask,
            prediction.label_map,
            predictor.num_classes,
            predictor.ignore_label,
            prediction.name,
        )
        total += matrix
        images.append(image_scores(prediction.name, matrix))
        if on_image is not None:
            on_image(prediction, mask, images[-1])
    return evaluation_of_matrix(total, predictor.class_names, len(images), rules, images)


def predictions_and_masks(predictor, examples) -> Iterator[tuple[Prediction, np.ndarray]]:
    """Predict each example in turn, while the next ones are read.

    Args:
        predictor: A `Predictor`.
        examples: The images, as `evaluate` takes them.

    Yields:
        Prediction and mask, uint8 [H, W], of each example, under the example's name.

    Raises:
        ValueError: If an image cannot be used; the message names it.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        ahead = deque(pool.submit(examples.read, i) for i in range(min(_READERS, len(examples))))
        for index in range(len(examples)):
            image, mask = ahead.popleft().result()
            if index + _READERS < len(examples):
                ahead.append(pool.submit(examples.read, index + _READERS))
            name = examples.name(index)
            if mask.size > predictor.max_pixels:
                raise ValueError(
                    f"{name}: has {mask.size:,} pixels, more than the limit of "
                    f"{predictor.max_pixels:,}: if that is meant to be so, raise max_pixels"
                )
            try:
                prediction = predictor(image)
            except ValueError as error:
                # An array has no name of its own.
                raise ValueError(f"{name}: {str(error).removeprefix('image 0: ')}") from error
            yield replace(prediction, name=name), mask
