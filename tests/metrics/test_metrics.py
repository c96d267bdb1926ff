"""Metrics against NumPy, including counts beyond 32 bits."""

import collections

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eseg_keras.metrics import ConfusionMatrix, MeanIoU, PixelAccuracy, SegmentationScores


def reference_matrix(labels, predictions, classes, ignore_label=255):
    """Return confusion matrix, invalid labels by value, and number of invalid predictions."""
    matrix, invalid = np.zeros((classes, classes), "int64"), collections.Counter()
    invalid_predictions = 0
    for label, prediction in zip(labels.flat, predictions.flat, strict=True):
        if label == ignore_label:
            continue
        if not 0 <= label < classes:
            invalid["below 0" if label < 0 else "above 255" if label > 255 else int(label)] += 1
        elif not 0 <= prediction < classes:
            invalid_predictions += 1
        else:
            matrix[label, prediction] += 1
    return matrix, dict(invalid), invalid_predictions


def reference_iou(matrix):
    union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    return np.array([m / u if u else np.nan for m, u in zip(np.diag(matrix), union, strict=True)])


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 6), st.booleans(), st.booleans())
def test_equals_numpy_over_batches(seed, classes, channel, from_logits):
    rng = np.random.default_rng(seed)
    present = rng.integers(0, classes, max(1, classes - 1))  # Some classes never occur.
    mean_iou, accuracy = MeanIoU(classes), PixelAccuracy(classes)
    both = SegmentationScores(classes)
    matrix = np.zeros((classes, classes), "int64")
    for _ in range(3):
        labels = rng.choice([*present, 255], (2, 4, 5)).astype("uint8")
        predictions = rng.choice(present, (2, 4, 5))
        matrix += reference_matrix(labels, predictions, classes)[0]
        y_true = labels[..., None] if channel else labels
        y_pred = np.eye(classes, dtype="float32")[predictions] if from_logits else predictions
        for metric in (mean_iou, accuracy, both):
            metric.update_state(y_true, y_pred)
    iou = reference_iou(matrix)
    np.testing.assert_array_equal(mean_iou.confusion_matrix(), matrix)
    np.testing.assert_allclose(mean_iou.per_class(), iou)
    expected = 0.0 if np.isnan(iou).all() else np.nanmean(iou)
    np.testing.assert_allclose(float(mean_iou.result()), expected, rtol=1e-5)
    np.testing.assert_allclose(
        float(accuracy.result()), np.trace(matrix) / max(matrix.sum(), 1), rtol=1e-5
    )
    scores = {name: float(value) for name, value in both.result().items()}
    assert scores == {
        "mean_iou": float(mean_iou.result()),
        "pixel_accuracy": float(accuracy.result()),
    }


EDGES = [-(2**31), -300, -1, 0, 1, 2, 3, 7, 127, 254, 255, 256, 257, 511, 2**31 - 1]


@pytest.mark.parametrize("ignore_label", [255, 0, 2, 7, -1, 300])
@pytest.mark.parametrize("map_dtype", ["uint8", "int32", "int64"])
@pytest.mark.parametrize("label_dtype", ["uint8", "int8", "int16", "int32", "int64"])
def test_every_value_of_every_dtype_is_accounted_for(label_dtype, map_dtype, ignore_label):
    rng = np.random.default_rng(ignore_label + 1)
    labels, predictions = (
        rng.choice([v for v in EDGES if low <= v <= high], (2, 8, 9)).astype(dtype)
        for dtype in (label_dtype, map_dtype)
        for low, high in [(np.iinfo(dtype).min, np.iinfo(dtype).max)]
    )
    metric = ConfusionMatrix(3, ignore_label=ignore_label)
    metric.update_state(labels, predictions)
    metric.update_state(labels[:1], predictions[:1])
    labels, predictions = (np.concatenate([a, a[:1]]) for a in (labels, predictions))
    matrix, invalid, invalid_predictions = reference_matrix(labels, predictions, 3, ignore_label)
    np.testing.assert_array_equal(metric.confusion_matrix(), matrix)
    assert metric.invalid_labels() == invalid
    assert metric.invalid_predictions() == invalid_predictions


def test_wide_labels_do_not_wrap_around_to_a_class():
    if keras.backend.backend() == "jax":
        pytest.skip("JAX converts int64 to int32 before the call")
    metric = ConfusionMatrix(3)
    labels = np.array([[[2**32, 2**32 + 1, -(2**32)]]])
    metric.update_state(labels, np.zeros((1, 1, 3), "uint8"))
    assert metric.invalid_labels() == {"above 255": 2, "below 0": 1}


def start_from(metric, count):
    """Set every count of the metric to `count`."""
    metric.low.assign(np.full(metric.low.shape, count % 2**20, "int32"))
    metric.high.assign(np.full(metric.high.shape, count // 2**20, "int32"))


@pytest.mark.parametrize("classes", [2, 256])
def test_counts_are_exact_beyond_32_bits(classes):
    metric = MeanIoU(classes, ignore_label=-1)
    labels = np.zeros((1, 1000, 1000), "uint8")
    # 5,000 million pixels, which would overflow to 705,032,704 in 32 bits.
    start = 5_000_000_000
    start_from(metric, start)
    metric.update_state(labels, labels)
    assert metric.confusion_matrix()[0, 0] == start + 1_000_000
    assert metric.confusion_matrix()[0, 1] == start
    if classes == 2:
        metric.update_state(labels + 9, labels)
        assert metric.invalid_labels()[9] == start + 1_000_000
        metric.update_state(labels, labels + 2)
        assert metric.invalid_predictions() == start + 1_000_000
    # All cells are equal except for 1e6 pixels, so every IoU is about 1 / (2 * classes - 1).
    np.testing.assert_allclose(float(metric.result()), 1 / (2 * classes - 1), rtol=1e-3)
    metric.reset_state()
    assert metric.confusion_matrix().sum() == 0


def test_many_small_batches_carry():
    metric = ConfusionMatrix(2)
    start_from(metric, 2**20 - 3)
    for _ in range(7):
        metric.update_state(np.zeros((1, 1, 1), "uint8"), np.zeros((1, 1, 1), "int32"))
    assert metric.confusion_matrix()[0, 0] == 2**20 + 4


@pytest.mark.parametrize("metric_class", [MeanIoU, PixelAccuracy, SegmentationScores])
def test_serialises(metric_class):
    metric = metric_class(3, ignore_label=7, name="score")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert again.get_config() == metric.get_config() and again.name == "score"


def test_absent_class_is_nan_and_left_out():
    metric = MeanIoU(3)
    metric.update_state(np.array([[[0, 1, 1]]]), np.array([[[0, 1, 0]]]))
    np.testing.assert_allclose(metric.per_class(), [0.5, 0.5, np.nan])
    assert float(metric.result()) == 0.5


def test_states_of_metrics_add_up():
    rng = np.random.default_rng(0)
    parts, whole = [ConfusionMatrix(3), ConfusionMatrix(3)], ConfusionMatrix(3)
    start_from(parts[0], 2**33)
    start_from(whole, 2**33)
    for metric in parts:
        masks, label_maps = rng.integers(0, 5, (2, 1, 8, 8))
        metric.update_state(masks, label_maps)
        whole.update_state(masks, label_maps)
    for name in ("low", "high"):
        total = sum(keras.ops.convert_to_numpy(getattr(part, name)) for part in parts)
        getattr(parts[0], name).assign(total)
    np.testing.assert_array_equal(parts[0].confusion_matrix(), whole.confusion_matrix())
    assert parts[0].invalid_labels() == whole.invalid_labels()


@pytest.mark.parametrize(
    ("masks", "predictions", "message"),
    [
        (np.zeros((1, 4, 4), "uint8"), np.zeros((1, 4, 5), "uint8"), r"masks \(1, 4, 4\)"),
        (np.zeros((1, 4, 4, 1), "uint8"), np.zeros((1, 2, 2, 3), "float32"), "same size"),
        (np.zeros((1, 4, 4), "uint8"), np.zeros((1, 4, 4, 2), "float32"), "logits of 3 classes"),
    ],
)
def test_shapes_that_do_not_fit(masks, predictions, message):
    with pytest.raises(ValueError, match=message):
        ConfusionMatrix(3).update_state(masks, predictions)


@pytest.mark.parametrize("num_classes", [0, 257])
def test_number_of_classes(num_classes):
    with pytest.raises(ValueError, match=f"Received: {num_classes}"):
        MeanIoU(num_classes)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX always compiles by XLA")
def test_compiles_by_xla():
    import tensorflow as tf

    rng = np.random.default_rng(0)
    masks, label_maps = rng.integers(0, 256, (2, 2, 6, 8)).astype("uint8")
    plain, compiled = SegmentationScores(200), SegmentationScores(200)
    plain.update_state(masks, label_maps)

    @tf.function(jit_compile=True)
    def step(masks, label_maps):
        compiled.update_state(masks, label_maps)
        return compiled.result()

    scores = step(masks, label_maps)
    np.testing.assert_array_equal(compiled.confusion_matrix(), plain.confusion_matrix())
    assert compiled.invalid_labels() == plain.invalid_labels()
    assert compiled.invalid_predictions() == plain.invalid_predictions() > 0
    np.testing.assert_allclose(scores["mean_iou"], plain.mean_iou(), rtol=1e-6)
