import dataclasses
import threading

import numpy as np
import pytest

from eseg_keras.evaluation import evaluate, evaluation_of
from eseg_keras.metrics import SegmentationScores

SIZE = (32, 32)


def pixels(values):
    """Return a mask that starts with these values; all other pixels are ignored."""
    mask = np.full(SIZE, 255, np.uint8)
    mask.flat[: len(values)] = values
    return mask


def test_scores_are_those_of_one_confusion_matrix_over_all_images(red_predictor, make_examples):
    label_maps = [pixels([0, 0, 1]), pixels([1, 2, 2]), np.full((40, 33), 1, np.uint8)]
    masks = [pixels([0, 1, 1]), pixels([1, 2, 255]), np.full((40, 33), 255, np.uint8)]
    masks[2][0, :2] = 1, 0
    evaluation = evaluate(red_predictor(4), make_examples(label_maps, masks))
    # TP, FP, FN by hand: class 0: 1, 1, 1; class 1: 3, 1, 1; class 2: 1, 0, 0; class 3 is absent.
    assert list(evaluation.per_class_iou) == ["class 0", "class 1", "class 2", "class 3"]
    iou = list(evaluation.per_class_iou.values())
    assert iou == [pytest.approx(1 / 3), pytest.approx(3 / 5), 1, None]
    assert list(evaluation.per_class_accuracy.values()) == [1 / 2, 3 / 4, 1, None]
    assert evaluation.mean_iou == pytest.approx((1 / 3 + 3 / 5 + 1) / 3, rel=1e-12)
    assert evaluation.pixel_accuracy == pytest.approx(5 / 7, rel=1e-12)
    assert evaluation.mean_accuracy == pytest.approx((1 / 2 + 3 / 4 + 1) / 3, rel=1e-12)
    # Classes 0, 1 and 2 have 2, 4 and 1 of the 7 labelled pixels.
    frequency_weighted = (2 * 1 / 3 + 4 * 3 / 5 + 1) / 7
    assert evaluation.frequency_weighted_iou == pytest.approx(frequency_weighted, rel=1e-12)
    assert evaluation.num_images == 3
    assert evaluation.confusion_matrix.tolist() == [
        [1, 1, 0, 0, 0], [1, 3, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]
    ]  # fmt: skip
    assert [scores.name for scores in evaluation.images] == [f"photos/{i}.png" for i in range(3)]
    assert [scores.num_pixels for scores in evaluation.images] == [3, 2, 2]
    # Classes 0 and 1 have an IoU of 1/2 and 1/2 in the first image, of 0 and 1/2 in the last.
    assert evaluation.images[0].mean_iou == pytest.approx(1 / 2)
    assert evaluation.images[2].mean_iou == pytest.approx(1 / 4)
    assert evaluation.images[2].pixel_accuracy == pytest.approx(1 / 2)
    assert (evaluation.categories, evaluation.score) == (None, None)


def test_pixels_without_a_prediction_are_misses(red_predictor, make_examples):
    predictor = red_predictor(2)
    examples = make_examples([pixels([0, 0, 255, 1])], [pixels([0, 0, 0, 1])])
    evaluation = evaluate(predictor, examples)
    assert evaluation.confusion_matrix.tolist() == [[2, 0, 1], [0, 1, 0]]
    assert list(evaluation.per_class_iou.values()) == [pytest.approx(2 / 3), 1]
    assert evaluation.pixel_accuracy == 3 / 4
    # Weights are the labelled pixels: three of class 0, one of class 1.
    assert evaluation.frequency_weighted_iou == pytest.approx((3 * 2 / 3 + 1) / 4)


def test_a_range_is_not_applied_twice(red_predictor, make_examples, monkeypatch):
    predictor = red_predictor(2)
    monkeypatch.setattr(predictor, "image_range", (0, 4095))
    with pytest.raises(ValueError, match=r"0..255 already.*image_range=\(0, 4095\): set"):
        evaluate(predictor, make_examples([pixels([0])], [pixels([0])]))


def test_the_scores_of_training_are_the_same(red_predictor, make_examples):
    rng = np.random.default_rng(0)
    label_maps, masks = rng.integers(0, 5, (2, 3, *SIZE), np.uint8)
    masks[masks == 4] = 255
    metric = SegmentationScores(5)
    metric.update_state(masks, label_maps)
    from_metric = evaluation_of(metric, None, num_images=3)
    evaluation = evaluate(red_predictor(5), make_examples(label_maps, masks))
    assert evaluation.per_class_iou["class 4"] == 0  # Predicted, but absent from the masks.
    assert evaluation.summary() == from_metric.summary()
    np.testing.assert_array_equal(evaluation.confusion_matrix, from_metric.confusion_matrix)
    assert from_metric.images == ()


def test_masks_without_a_class(red_predictor, make_examples):
    nothing = np.full(SIZE, 255, np.uint8)
    evaluation = evaluate(red_predictor(2), make_examples([pixels([0, 1])], [nothing]))
    assert (evaluation.mean_iou, evaluation.pixel_accuracy) == (0.0, 0.0)
    assert set(evaluation.per_class_iou.values()) == {None}
    assert dataclasses.astuple(evaluation.images[0]) == ("photos/0.png", None, None, 0)


def test_each_image_is_shown_in_its_order(red_predictor, make_examples):
    label_maps = np.random.default_rng(0).integers(0, 2, (7, *SIZE), np.uint8)
    seen = []
    examples = make_examples(list(label_maps), list(label_maps[::-1]))
    evaluate(red_predictor(2), examples, on_image=lambda *arguments: seen.append(arguments))
    assert len(seen) == 7
    for index, (prediction, mask, scores) in enumerate(seen):
        assert prediction.name == scores.name == f"photos/{index}.png"
        np.testing.assert_array_equal(prediction.label_map, label_maps[index])
        np.testing.assert_array_equal(mask, label_maps[6 - index])


def test_few_examples_are_read_ahead(red_predictor, make_examples):
    """Reading all examples ahead could exceed the memory."""
    examples = make_examples([np.zeros(SIZE)] * 20, [np.zeros(SIZE)] * 20)
    lock, counts, read = threading.Lock(), {"read": 0, "done": 0, "most": 0}, examples.read

    def counting(index):
        with lock:
            counts["read"] += 1
            counts["most"] = max(counts["most"], counts["read"] - counts["done"])
        return read(index)

    def done(*_):
        with lock:
            counts["done"] += 1

    examples.read = counting
    evaluate(red_predictor(2), examples, on_image=done)
    assert counts["read"] == counts["done"] == 20
    assert 2 <= counts["most"] <= 4


def test_mistakes_name_the_image(red_predictor, make_examples):
    def message(label_map, mask, num_classes=2, **options):
        good = np.zeros(SIZE)
        with pytest.raises(ValueError) as error:
            examples = make_examples([good, label_map], [good, mask])
            evaluate(red_predictor(num_classes), examples, **options)
        return str(error.value)

    good = np.zeros(SIZE)
    assert message(good, good + 7).startswith("photos/1.png: the mask has labels")
    assert message(good, good[:-1]).startswith("photos/1.png: mask and prediction must be")
    tiny = message(np.zeros((1, 1)), np.zeros((1, 1)))
    assert tiny.startswith("photos/1.png: is 1x1 pixels")
    assert "rules of cityscapes are for the 19" in message(good, good, rules="cityscapes")
    assert "rules of ade20k are for the 150" in message(good, good, rules="ade20k")
    assert "Received: rules='coco'" in message(good, good, rules="coco")


def test_nothing_to_evaluate(red_predictor, make_examples):
    with pytest.raises(ValueError, match="no images"):
        evaluate(red_predictor(2), make_examples([], []))
