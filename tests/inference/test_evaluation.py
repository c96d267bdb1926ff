import keras
import numpy as np
import pytest

from eseg_keras.inference import evaluate


class OneHot(keras.Model):
    """Answers the class that the red channel holds."""

    num_classes = 4
    ignore_label = 255
    class_names = ("a", "b", "c", "d")

    def call(self, images):
        return keras.ops.one_hot(keras.ops.cast(images[..., 0], "int32"), self.num_classes)


def batch(predicted, labels):
    predicted, labels = np.asarray(predicted, "uint8"), np.asarray(labels, "uint8")
    return np.repeat(predicted[..., None], 3, -1), labels


def test_scores_are_those_of_one_confusion_matrix_over_all_images():
    batches = [
        batch([[[0, 0, 1]], [[1, 2, 2]]], [[[0, 1, 1]], [[1, 2, 255]]]),
        batch([[[2, 0]]], [[[2, 1]]]),  # A last batch of another size.
    ]
    scores = evaluate(OneHot(), batches)
    # By hand: a: 1 hit, 2 false; b: 2 hits, 2 missed; c: 2 hits; d: absent.
    assert scores.per_class_iou == {
        "a": pytest.approx(1 / 3), "b": pytest.approx(2 / 4), "c": 1.0, "d": None
    }  # fmt: skip
    # From the counts themselves: in float64, not in the float32 of a metric's result.
    assert scores.mean_iou == pytest.approx((1 / 3 + 1 / 2 + 1) / 3, rel=1e-12)
    assert scores.pixel_accuracy == pytest.approx(5 / 7, rel=1e-12)
    assert scores.num_images == 3
    assert scores.as_dict()["per_class_iou"]["d"] is None


def test_masks_without_a_class():
    scores = evaluate(OneHot(), [batch([[[0, 1]]], [[[255, 255]]])])
    assert (scores.mean_iou, scores.pixel_accuracy) == (0.0, 0.0)
    assert set(scores.per_class_iou.values()) == {None}


def test_nothing_to_evaluate():
    with pytest.raises(ValueError, match="no images"):
        evaluate(OneHot(), [])
