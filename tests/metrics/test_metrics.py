"""Metrics against plain NumPy, beyond 32 bits included."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eseg_keras.metrics import ConfusionMatrix, MeanIoU, PixelAccuracy


def reference_matrix(labels, predictions, classes):
    matrix = np.zeros((classes, classes), "int64")
    for label, prediction in zip(labels.flat, predictions.flat, strict=True):
        if label < classes:
            matrix[label, prediction] += 1
    return matrix


def reference_iou(matrix):
    union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    return np.array([m / u if u else np.nan for m, u in zip(np.diag(matrix), union, strict=True)])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6), st.booleans(), st.booleans())
def test_equals_numpy_over_batches(seed, classes, channel, from_logits):
    rng = np.random.default_rng(seed)
    present = rng.integers(0, classes, max(1, classes - 1))  # Some classes never occur.
    mean_iou, accuracy = MeanIoU(classes), PixelAccuracy(classes)
    matrix = np.zeros((classes, classes), "int64")
    for _ in range(3):
        labels = rng.choice([*present, 255], (2, 4, 5)).astype("uint8")
        predictions = rng.choice(present, (2, 4, 5))
        matrix += reference_matrix(labels, predictions, classes)
        y_true = labels[..., None] if channel else labels
        y_pred = np.eye(classes, dtype="float32")[predictions] if from_logits else predictions
        mean_iou.update_state(y_true, y_pred)
        accuracy.update_state(y_true, y_pred)
    iou = reference_iou(matrix)
    np.testing.assert_array_equal(mean_iou.confusion_matrix(), matrix)
    np.testing.assert_allclose(mean_iou.per_class(), iou)
    expected = 0.0 if np.isnan(iou).all() else np.nanmean(iou)
    np.testing.assert_allclose(float(mean_iou.result()), expected, rtol=1e-5)
    np.testing.assert_allclose(
        float(accuracy.result()), np.trace(matrix) / max(matrix.sum(), 1), rtol=1e-5
    )


def test_counts_are_exact_beyond_32_bits():
    metric = MeanIoU(2)
    labels = np.zeros((1, 1000, 1000), "uint8")
    metric.update_state(labels, labels)
    # The state after 5,000 million pixels, of which an int32 would keep 705,032,704.
    start = 5_000_000_000
    metric.low.assign([start % 2**20, 0, 0, 0])
    metric.high.assign([start // 2**20, 0, 0, 0])
    metric.update_state(labels, labels)
    assert metric.confusion_matrix()[0, 0] == start + 1_000_000
    metric.reset_state()
    assert metric.confusion_matrix().sum() == 0


def test_many_small_batches_carry():
    metric = ConfusionMatrix(2)
    metric.low.assign([2**20 - 3, 0, 0, 0])
    for _ in range(7):
        metric.update_state(np.zeros((1, 1, 1), "uint8"), np.zeros((1, 1, 1), "int32"))
    assert metric.confusion_matrix()[0, 0] == 2**20 + 4


@pytest.mark.parametrize("metric_class", [MeanIoU, PixelAccuracy])
def test_serialises(metric_class):
    metric = metric_class(3, ignore_label=7, name="score")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert again.get_config() == metric.get_config() and again.name == "score"


def test_absent_class_is_nan_and_left_out():
    metric = MeanIoU(3)
    metric.update_state(np.array([[[0, 1, 1]]]), np.array([[[0, 1, 0]]]))
    np.testing.assert_allclose(metric.per_class(), [0.5, 0.5, np.nan])
    assert float(metric.result()) == 0.5


def test_predictions_outside_the_classes_count_nowhere():
    metric = ConfusionMatrix(2)
    metric.update_state(np.array([[[0, 0, 0, 1]]]), np.array([[[0, 2, -1, 1]]]))
    np.testing.assert_array_equal(metric.confusion_matrix(), [[1, 0], [0, 1]])
