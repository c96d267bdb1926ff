"""What TensorBoard shows of a run: loss and scores, learning rate, fusion weights, pictures."""

import io
import logging
import time
from pathlib import Path

import keras
import numpy as np

from eseg_keras.data.batches import Batches
from eseg_keras.optional import require
from eseg_keras.trainer import TrainingModel
from eseg_keras.visualization import default_palette, overlay

_log = logging.getLogger("eseg_keras")

# Validation images in pictures, and the steps from one point of the loss curve to the next.
_NUM_PICTURES = 4
_EVERY = 50
# Longest side of a picture in pixels.
_PICTURE_SIZE = 768


class RunBoard(keras.callbacks.Callback):
    """Writes event files for TensorBoard, with its own writer: TensorFlow is not needed.

    Without the package `tensorboard` a log line says how to install it, and nothing is written.

    Args:
        directory: Folder of the event files. A run that goes on adds a file.
        batches: The validation images of a segmentation, the first of which are shown as input,
            label map and prediction; `None` shows none.
        step: Steps of the run done before.
    """

    def __init__(self, directory: Path, batches: Batches | None = None, step: int = 0):
        super().__init__()
        self.batches = batches
        self.step = step
        try:
            module = require("tensorboard.summary.writer.event_file_writer", "tensorboard")
        except ImportError as error:
            _log.warning("No curves and pictures for TensorBoard. %s", error)
            self.writer = None
            return
        self.writer = module.EventFileWriter(str(directory))

    def on_train_begin(self, logs=None):
        """Begin to count."""
        self.done = 0

    def on_train_batch_end(self, batch, logs=None):
        """Write the loss and the learning rate from time to time."""
        # Several steps in one call may be more than are left.
        before, self.done = self.done, min(batch + 1, self.params["steps"])
        first, last = self.step + before, self.step + self.done
        if first // _EVERY < last // _EVERY:
            rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
            self._write(last, {"train/loss_so_far": float(logs["loss"]), "learning_rate": rate})

    def on_train_end(self, logs=None):
        """Go on counting from here."""
        self.step += self.done

    def write_epoch(
        self, model: TrainingModel, step: int, logs: dict[str, float], images_per_second: float
    ) -> None:
        """Write the scores of an epoch, the weights of the levels, and pictures after a validation.

        Args:
            model: The model.
            step: Steps of the run done.
            logs: Values by name; those of the validation begin with `"val_"`.
            images_per_second: Speed of training.
        """
        if self.writer is None:
            return
        names = {n: f"val/{n[4:]}" if n.startswith("val_") else f"train/{n}" for n in logs}
        values = {names[name]: value for name, value in logs.items() if name != "learning_rate"}
        values["images_per_second"] = images_per_second
        if self.batches is not None:
            with model.averaged_weights():
                values |= {f"level_weight/{k}": v for k, v in model.level_weights().items()}
        self._write(step, values)
        if self.batches is not None and any(name.startswith("val_") for name in logs):
            self._write_pictures(model, step)
        self.writer.flush()

    def _write(self, step, values):
        if self.writer is None:
            return
        summary = require("tensorboard.compat.proto.summary_pb2", "tensorboard").Summary
        values = [summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._add(step, summary(value=values))

    def _write_pictures(self, model, step):
        summary = require("tensorboard.compat.proto.summary_pb2", "tensorboard").Summary
        palette = model.palette or default_palette(model.num_classes)
        shown = 0
        for batch in range(len(self.batches)):
            images, masks, *_ = self.batches.batch(0, batch)
            for image, mask in zip(images, masks, strict=True):
                if shown == _NUM_PICTURES:
                    return
                panel = _panel(image, mask, model.segment(image), palette)
                value = summary.Value(tag=f"input_label_prediction/{shown}", image=_encoded(panel))
                self._add(step, summary(value=[value]))
                shown += 1

    def _add(self, step, summary):
        event = require("tensorboard.compat.proto.event_pb2", "tensorboard").Event
        self.writer.add_event(event(wall_time=time.time(), step=step, summary=summary))


def _panel(image, mask, prediction, palette):
    """Input, label map and prediction side by side; uint8 [H, 3 W, 3]."""
    image = np.clip(image, 0, 255).astype(np.uint8)
    black = np.zeros_like(image)
    # Where nothing is labelled, the label map is black.
    pictures = [image, overlay(black, mask, palette, 1.0), overlay(black, prediction, palette, 1.0)]
    return np.concatenate([np.asarray(picture) for picture in pictures], axis=1)


def _encoded(panel):
    """A picture in the form that event files hold it."""
    from PIL import Image

    picture = Image.fromarray(panel)
    picture.thumbnail((3 * _PICTURE_SIZE, 3 * _PICTURE_SIZE))
    file = io.BytesIO()
    picture.save(file, format="PNG")
    summary = require("tensorboard.compat.proto.summary_pb2", "tensorboard").Summary
    return summary.Image(
        height=picture.height,
        width=picture.width,
        colorspace=3,
        encoded_image_string=file.getvalue(),
    )
