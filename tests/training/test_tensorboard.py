"""Event files, read with TensorBoard's reader."""

import io
import logging
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

from eseg_keras import ESeg
from eseg_keras.data.batches import Batches
from eseg_keras.files import DiskFullError
from eseg_keras.losses import CrossEntropy
from eseg_keras.trainer import TrainingModel
from eseg_keras.training import tensorboard as module
from eseg_keras.training.tensorboard import RunBoard
from eseg_keras.visualization import default_palette

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

SIZES = [(33, 48), (40, 36), (35, 52), (32, 32), (32, 64)]
PALETTE = ((10, 20, 30), (200, 0, 0), (0, 250, 5))


def read_example(index):
    rng = np.random.default_rng(index)
    image = rng.integers(0, 256, (*SIZES[index], 3), dtype="uint8")
    return image, rng.choice([0, 1, 2, 255], SIZES[index]).astype("uint8")


def make_model(palette=PALETTE, **options):
    x = inputs = keras.Input((None, None, 3))
    features = {}
    for level, stride in (("P3", 8), ("P4", 2)):
        x = features[level] = keras.layers.Conv2D(4, 3, strides=stride, padding="same")(x)
    return ESeg(
        keras.Model(inputs, features), num_classes=3, min_level=3, max_level=5,
        decoder_channels=4, decoder_repeats=1, palette=palette, **options,
    )  # fmt: skip


def read(directory):
    events = accumulator.EventAccumulator(str(directory), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    return events


def scalars(events, tag):
    return {event.step: event.value for event in events.Scalars(tag)}


def pictures(events, number):
    """Return {step: image, uint8 [H, W, 3]}."""
    found = {}
    for event in events.Images(f"input_label_prediction/{number}"):
        picture = Image.open(io.BytesIO(event.encoded_image_string))
        assert picture.format == "PNG" and picture.size == (event.width, event.height)
        found[event.step] = np.asarray(picture)
    return found


def colored(labels, palette):
    """Return the colours of labels; pixels without a class are black."""
    table = np.zeros((256, 3), "uint8")
    table[: len(palette)] = palette
    return table[labels]


@pytest.mark.parametrize("palette", [PALETTE, None])
def test_scores_weights_and_pictures_of_an_epoch(tmp_path, palette):
    batches = Batches(read_example, len(SIZES), batch_size=1)
    model = make_model(palette)
    board = RunBoard(tmp_path, batches)
    logs = {"loss": 1.5, "mean_iou": 0.25, "learning_rate": 0.01}
    board.write_epoch(model, 30, logs, 12.0)
    board.write_epoch(model, 60, {**logs, "loss": 0.5, "val_mean_iou": 0.75}, 24.0)
    events = read(tmp_path)

    assert scalars(events, "train/loss") == {30: 1.5, 60: 0.5}
    assert scalars(events, "train/mean_iou") == {30: 0.25, 60: 0.25}
    assert scalars(events, "val/mean_iou") == {60: 0.75}
    assert scalars(events, "images_per_second") == {30: 12, 60: 24}
    levels = [tag for tag in events.Tags()["scalars"] if tag.startswith("level_weight/")]
    assert levels == ["level_weight/P3", "level_weight/P4", "level_weight/P5"]
    total = sum(scalars(events, tag)[60] for tag in levels)
    assert total == pytest.approx(1, abs=1e-6)

    # Epochs with a validation have panels of the first four validation images.
    assert len(events.Tags()["images"]) == 4
    for number in range(4):
        image, mask = read_example(number)
        found = pictures(events, number)
        assert list(found) == [60]
        colors = palette or default_palette(3)
        expected = [image, colored(mask, colors), colored(model.segment(image), colors)]
        np.testing.assert_array_equal(found[60], np.concatenate(expected, axis=1))


def test_pictures_of_large_images_are_made_smaller(tmp_path):
    def read_large(index):
        return np.full((20, 5000, 3), 77, "uint8"), np.zeros((20, 5000), "uint8")

    class Answer:
        palette, num_classes = PALETTE, 3

        def segment(self, image):
            return np.zeros(image.shape[:2], "uint8")

    board = RunBoard(tmp_path, Batches(read_large, 1, batch_size=1))
    board._write_images(Answer(), 5)
    board.writer.flush()
    (picture,) = pictures(read(tmp_path), 0).values()
    assert picture.shape[1] == 3 * 768 and (picture[:, :700] == 77).all()


def test_the_averaged_weights_are_those_that_are_shown(tmp_path):
    model = make_model()
    model.compile(keras.optimizers.SGD(0.5), ema_decay=0.99, jit_compile=False)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("uint8")
    masks = np.ones((2, 32, 32), "uint8")
    model.fit(images, masks, batch_size=1, verbose=0)
    with model.averaged_weights():
        averaged = model.level_weights()
    assert averaged != model.level_weights()
    RunBoard(tmp_path, Batches(read_example, 1)).write_epoch(model, 2, {"loss": 1.0}, 1.0)
    events = read(tmp_path)
    for level, weight in averaged.items():
        assert scalars(events, f"level_weight/{level}")[2] == pytest.approx(weight)


def test_a_classifier_has_scores_alone(tmp_path):
    inputs = keras.Input((2,))
    model = TrainingModel(inputs, keras.layers.Dense(2)(inputs))
    RunBoard(tmp_path).write_epoch(model, 3, {"loss": 1.0, "val_accuracy": 0.5}, 1.0)
    tags = read(tmp_path).Tags()
    assert set(tags["scalars"]) == {"train/loss", "val/accuracy", "images_per_second"}
    assert tags["images"] == []


def fit(board, batches, epochs=1, **options):
    """Train on blank images with a learning rate of 1 that decreases by 0.01 per step."""
    inputs = keras.Input((4, 4, 1))
    model = TrainingModel(inputs, keras.layers.Conv2D(2, 1)(inputs))
    schedule = keras.optimizers.schedules.PolynomialDecay(1.0, 100, 0.0)
    model.compile(keras.optimizers.SGD(schedule), CrossEntropy(), jit_compile=False, **options)
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(board.step)
    images, masks = np.zeros((batches, 4, 4, 1), "float32"), np.zeros((batches, 4, 4), "uint8")
    for epoch in range(epochs):
        model.fit(
            images, masks, batch_size=1, verbose=0, initial_epoch=epoch, epochs=epoch + 1,
            callbacks=[board],
        )  # fmt: skip
    board.writer.flush()


@pytest.mark.parametrize(
    "steps_per_execution, steps", [(1, [2, 4, 6, 8, 10, 12, 14]), (4, [4, 7, 11, 14])]
)
def test_the_curve_within_epochs_goes_on_in_the_next(
    tmp_path, monkeypatch, steps_per_execution, steps
):
    monkeypatch.setattr(module, "_EVERY", 2)
    fit(RunBoard(tmp_path), 7, epochs=2, steps_per_execution=steps_per_execution)
    rates = scalars(read(tmp_path), "learning_rate")
    assert list(rates) == steps == list(scalars(read(tmp_path), "train/loss_so_far"))
    for step, rate in rates.items():
        assert rate == pytest.approx(1 - step / 100)


def test_a_run_that_goes_on_adds_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_EVERY", 2)
    fit(RunBoard(tmp_path), 3)
    fit(RunBoard(tmp_path, step=3), 3)
    assert len(list(tmp_path.iterdir())) == 2
    assert set(scalars(read(tmp_path), "learning_rate")) == {2, 4, 6}


def test_a_full_disk_names_the_folder(tmp_path):
    def fail(*_):
        # The message of TensorFlow's ResourceExhaustedError, which is not an OSError.
        raise RuntimeError(f"{tmp_path}/events.out; No space left on device")

    board = RunBoard(tmp_path)
    board.writer.close()
    board.writer = SimpleNamespace(add_event=fail, flush=fail)
    # Events are written in the background, so `flush` may fail instead of `add_event`.
    for _ in range(2):
        with pytest.raises(DiskFullError, match=f"^{tmp_path} cannot be written: the disk is full"):
            board.write_epoch(None, 1, {}, 1.0)
        board.writer.add_event = lambda event: None


def test_without_the_package_a_line_says_so_and_nothing_fails(tmp_path, monkeypatch, caplog):
    for name in [n for n in sys.modules if n.split(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with caplog.at_level(logging.WARNING, "eseg_keras"):
        board = RunBoard(tmp_path, Batches(read_example, 1))
    assert 'pip install "eseg-keras[tensorboard]"' in caplog.text
    model = make_model()
    model.compile("sgd")
    board.set_model(model)
    board.set_params({"steps": 60})
    board.on_train_begin()
    board.on_train_batch_end(59, {"loss": 1.0})
    board.on_train_end()
    board.write_epoch(model, 60, {"loss": 1.0, "val_loss": 1.0}, 1.0)
    assert list(tmp_path.iterdir()) == []
