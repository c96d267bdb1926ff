"""Invalid labels are counted in the compiled step, and raised as an error after it."""

import keras
import numpy as np
import pytest

from eseg_keras.metrics import MeanIoU, SegmentationScores
from eseg_keras.trainer import LabelCheck, check_labels

IMAGES = np.random.default_rng(0).normal(size=(4, 6, 8, 3)).astype("float32")


def masks(*invalid):
    labels = np.random.default_rng(1).choice([0, 1, 2, 255], (4, 6, 8)).astype("uint8")
    labels.flat[5 : 5 + len(invalid)] = invalid
    return labels


def classifier(metric):
    """Build a model whose loss ignores labels, so that only the metric detects invalid ones."""
    images = keras.Input((6, 8, 3))
    model = keras.Model(images, keras.layers.Conv2D(3, 1)(images))
    model.compile("sgd", lambda y_true, y_pred: keras.ops.mean(y_pred**2), metrics=[metric])
    return model


def fit(training_masks, validation_masks=None, **arguments):
    """Train; return the finished epochs."""
    ended = []
    validation = None if validation_masks is None else (IMAGES, validation_masks)
    classifier(SegmentationScores(3)).fit(
        IMAGES, training_masks, batch_size=2, validation_data=validation, verbose=0,
        callbacks=[
            LabelCheck(),
            keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ended.append(epoch)),
        ],
        **arguments,
    )  # fmt: skip
    return ended


def test_valid_masks_train():
    assert fit(masks(), masks(), epochs=2) == [0, 1]


def test_the_first_batch_is_checked_at_once():
    steps = []
    with pytest.raises(ValueError, match=r"contain labels .* 9 \(1 pixels\).*ESeg\(ignore_label="):
        classifier(SegmentationScores(3)).fit(
            IMAGES, masks(9), batch_size=2, verbose=0, shuffle=False,
            callbacks=[
                keras.callbacks.LambdaCallback(on_train_batch_end=lambda n, logs: steps.append(n)),
                LabelCheck(),
            ],
        )  # fmt: skip
    assert steps == [0]


@pytest.mark.parametrize("validation_masks", [None, masks()])
def test_training_masks_raise(validation_masks):
    with pytest.raises(ValueError, match="training contain labels") as error:
        fit(masks(7, 7, 3, 254), validation_masks)
    for part in ("3 classes (0 to 2)", "7 (2 pixels)", "3 (1 pixels)", "254 (1 pixels)", "(255)"):
        assert part in str(error.value)
    assert "class_map" in str(error.value) and "ignore_label" in str(error.value)


def test_validation_masks_raise():
    with pytest.raises(ValueError, match=r"evaluation contain labels .* 9 \(1 pixels\)"):
        fit(masks(), masks(9))


def test_evaluation_does_not_raise_what_was_left_over():
    model = classifier(MeanIoU(3))
    model.fit(IMAGES, masks(7), batch_size=2, verbose=0)
    model.evaluate(IMAGES, masks(), verbose=0, callbacks=[LabelCheck()])
    with pytest.raises(ValueError, match="evaluation"):
        model.evaluate(IMAGES, masks(7), verbose=0, callbacks=[LabelCheck()])


def test_a_photo_taken_for_a_mask_is_summarised():
    metric = MeanIoU(3)
    photo = np.arange(256, dtype="uint8").reshape(1, 16, 16)
    metric.update_state(photo, np.zeros_like(photo))
    with pytest.raises(ValueError, match="and 236 other values"):
        check_labels([metric])


def test_predicted_label_maps_outside_the_classes():
    metric = MeanIoU(3)
    metric.update_state(np.array([[[0, 1, 2, 255]]]), np.array([[[0, 3, -1, 9]]]))
    with pytest.raises(ValueError, match="at 2 labelled pixels"):
        check_labels([metric], "evaluation")


def test_scores_are_logs_of_their_own():
    model = classifier(SegmentationScores(3))
    arrays = {"x": IMAGES, "y": masks()}
    logs = model.fit(**arrays, validation_data=(IMAGES, masks()), verbose=0).history
    assert set(logs) == {f"{v}{n}" for v in ("", "val_") for n in ("loss", *SCORES)}
    scores = model.evaluate(**arrays, verbose=0, return_dict=True)
    labels = np.argmax(model.predict(IMAGES, verbose=0), -1)
    expected = (labels == masks())[masks() != 255].mean()
    np.testing.assert_allclose(scores["pixel_accuracy"], expected, rtol=1e-5)


SCORES = ("mean_iou", "pixel_accuracy")
