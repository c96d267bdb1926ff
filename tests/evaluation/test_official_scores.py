"""Scores equal those of Cityscapes' official script, and of ADE20K's, rewritten in NumPy."""

import copy
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eseg_keras.data.datasets.ade20k import CLASSES as ADE20K
from eseg_keras.data.datasets.cityscapes import CLASSES as CITYSCAPES
from eseg_keras.evaluation import evaluate, evaluate_files
from eseg_keras.evaluation.submission import Submission

SIZE = (32, 35)

# The predicted classes and the labels that occur in the random data set.
some_classes = st.sets(st.integers(0, 18), min_size=1)
some_labels = st.sets(st.integers(0, 33), min_size=1)


def drawn(rng, values, count):
    return rng.choice(sorted(values), (count, *SIZE)).astype(np.uint8)


def cityscapes_scores(truths, results):
    """Return the scores of the official script, which finds the predictions itself."""
    options = copy.copy(official.args)
    options.evalInstLevelScore = options.JSONOutput = False
    options.quiet = True
    options.predictionPath, options.predictionWalk = str(results), None
    found = [official.getPrediction(options, str(path)) for path in truths]
    return official.evaluateImgLists(found, list(map(str, truths)), options)


def same(ours, theirs):
    if ours is None:
        return math.isnan(theirs)
    return ours == pytest.approx(theirs, abs=1e-6)


@settings(max_examples=100)
@given(
    labels=some_labels,
    classes=some_classes,
    unsure=st.booleans(),
    share_right=st.sampled_from([0, 0.5, 1]),
    count=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_cityscapes(
    red_predictor, make_examples, labels, classes, unsure, share_right, count, seed
):
    rng = np.random.default_rng(seed)
    ids = drawn(rng, labels, count)
    masks = CITYSCAPES.read(ids)
    # Pixels with 255 have no predicted class, and an ignored label id in the files.
    label_maps = drawn(rng, classes | ({255} if unsure else set()), count)
    label_maps = np.where(rng.random(masks.shape) < share_right, masks, label_maps)
    names = [f"aachen_{index:06}_000019" for index in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        truths = [Path(folder) / f"{name}_gtFine_labelIds.png" for name in names]
        for path, truth in zip(truths, ids, strict=True):
            Image.fromarray(truth).save(path)
        results = Path(folder) / "results"
        with Submission(results, "cityscapes", names) as submission:
            evaluation = evaluate(
                red_predictor(19),
                make_examples(label_maps, masks),
                rules="cityscapes",
                on_image=lambda prediction, *_: submission.add(
                    names[int(Path(prediction.name).stem)], prediction.label_map
                ),
            )
        theirs = cityscapes_scores(truths, results)
        from_files = evaluate_files(results, folder, rules="cityscapes")

    np.testing.assert_array_equal(from_files.confusion_matrix, evaluation.confusion_matrix)
    assert from_files.summary() == evaluation.summary() | {
        "per_class_iou": by_name(CITYSCAPES, evaluation.per_class_iou),
        "per_class_accuracy": by_name(CITYSCAPES, evaluation.per_class_accuracy),
    }
    for name, iou in zip(CITYSCAPES.class_names, evaluation.per_class_iou.values(), strict=True):
        assert same(iou, theirs["classScores"][name])
    assert set(evaluation.categories) | {"void"} == set(theirs["categoryScores"])
    for name, iou in evaluation.categories.items():
        assert same(iou, theirs["categoryScores"][name])
    if math.isnan(theirs["averageScoreClasses"]):  # No pixel is labelled.
        assert evaluation.mean_iou == evaluation.mean_category_iou == 0
    else:
        assert same(evaluation.mean_iou, theirs["averageScoreClasses"])
        assert same(evaluation.mean_category_iou, theirs["averageScoreCategories"])


def by_name(classes, scores):
    """Replace the names "class 0", ... of scores by the class names of a data set."""
    return dict(zip(classes.class_names, scores.values(), strict=True))


def ade20k_scores(truths, predictions):
    """Compute the scores from labels 0 to 150 as `demoEvaluation.m` does."""
    intersection, union = np.zeros(150), np.zeros(150)
    correct = labelled = 0
    for truth, predicted in zip(truths, predictions, strict=True):
        predicted = np.where(truth > 0, predicted, 0)
        right = np.where(predicted == truth, predicted, 0)
        counts = [np.bincount(x.ravel(), minlength=151)[1:] for x in (right, predicted, truth)]
        intersection += counts[0]
        union += counts[1] + counts[2] - counts[0]
        correct += ((predicted == truth) & (truth > 0)).sum()
        labelled += (truth > 0).sum()
    iou = intersection / (union + np.finfo(float).eps)
    return iou, iou.mean(), correct / labelled


@settings(max_examples=100)
@given(
    labels=st.sets(st.integers(0, 150), min_size=2),
    predicted=st.sets(st.integers(0, 150), min_size=1),
    share_right=st.sampled_from([0, 0.5, 1]),
    count=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_ade20k(red_predictor, make_examples, labels, predicted, share_right, count, seed):
    rng = np.random.default_rng(seed)
    truths, predictions = drawn(rng, labels, count), drawn(rng, predicted, count)
    predictions = np.where(rng.random(truths.shape) < share_right, truths, predictions)
    examples = make_examples(ADE20K.read(predictions), ADE20K.read(truths))
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        names = [examples.name(index) for index in range(count)]
        with Submission(results, "ade20k", names) as submission:
            evaluation = evaluate(
                red_predictor(150),
                examples,
                rules="ade20k",
                on_image=lambda p, *_: submission.add(p.name, p.label_map),
            )
        files = [np.asarray(Image.open(results / f"{index}.png")) for index in range(count)]
        masks = Path(folder) / "masks"
        masks.mkdir()
        for index, truth in enumerate(truths):
            Image.fromarray(truth).save(masks / f"{index}.png")
        from_files = evaluate_files(results, masks, rules="ade20k")
    np.testing.assert_array_equal(files, predictions)
    np.testing.assert_array_equal(from_files.confusion_matrix, evaluation.confusion_matrix)
    assert from_files.score == evaluation.score
    iou, mean_iou, accuracy = ade20k_scores(truths, files)
    ours = [value or 0 for value in evaluation.per_class_iou.values()]
    np.testing.assert_allclose(ours, iou, atol=1e-6)
    assert evaluation.mean_iou == pytest.approx(mean_iou, abs=1e-6)
    assert evaluation.pixel_accuracy == pytest.approx(accuracy, abs=1e-6)
    assert evaluation.score == pytest.approx((mean_iou + accuracy) / 2, abs=1e-6)


def test_ade20k_as_its_own_description_says(red_predictor, make_examples):
    """Perfect predictions with 15 of 150 classes score 0.1, 100% and 0.55."""
    mask = np.resize(np.arange(15), SIZE)
    evaluation = evaluate(red_predictor(150), make_examples([mask], [mask]), rules="ade20k")
    scores = (evaluation.mean_iou, evaluation.pixel_accuracy, evaluation.score)
    assert scores == pytest.approx((0.1, 1, 0.55))
    assert evaluation.per_class_iou["class 15"] is None
