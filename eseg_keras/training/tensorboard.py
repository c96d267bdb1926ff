"""TensorBoard logs of a run: loss and scores, learning rate, fusion weights, label maps."""

import io
import logging
import time
from pathlib import Path

import keras
import numpy as np

from eseg_keras.data.batches import Batches
from eseg_keras.files import named_if_disk_full
from eseg_keras.optional import require
from eseg_keras.trainer import TrainingModel
from eseg_keras.visualization import default_palette, overlay

_log = logging.getLogger("eseg_keras")

# Number of validation images shown, and steps between points of the loss curve.
_NUM_IMAGES = 4
_EVERY = 50
# A panel of three images is at most 3 * _IMAGE_SIZE pixels wide and high.
_IMAGE_SIZE = 768


class RunBoard(keras.callbacks.Callback):
    """Write TensorBoard event files with the package `tensorboard`, without TensorFlow.

    If `tensorboard` is not installed, a warning is logged and nothing is written. The first images
    of `batches`, if any, are written as panels of input, mask and prediction.
    """

    def __init__(self, directory: Path, batches: Batches | None = None, step: int = 0):
        super().__init__()
        self.batches = batches
        self.step = step
        self.writer = None
        try:
            module = require("tensorboard.summary.writer.event_file_writer", "tensorboard")
        except ImportError as error:
            _log.warning("No curves and images are written for TensorBoard. %s", error)
            return
        self.directory = directory
        with named_if_disk_full(directory):
            self.writer = module.EventFileWriter(str(directory))

    def on_train_begin(self, logs=None):
        """Start counting the steps of an epoch."""
        self.done = 0

    def on_train_batch_end(self, batch, logs=None):
        """Write the loss and the learning rate, about every `_EVERY` steps."""
        # With steps_per_execution above 1, `batch` may be past the end of the epoch.
        before, self.done = self.done, min(batch + 1, self.params["steps"])
        first, last = self.step + before, self.step + self.done
        if first // _EVERY < last // _EVERY:
            rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
            self._write(last, {"train/loss_so_far": float(logs["loss"]), "learning_rate": rate})

    def on_train_end(self, logs=None):
        """Add the steps of the epoch to those of the run."""
        self.step += self.done

    def write_epoch(
        self, model: TrainingModel, step: int, logs: dict[str, float], images_per_second: float
    ) -> None:
        """Write loss, scores, speed and level weights of an epoch; after a validation, images."""
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
            self._write_images(model, step)
        with named_if_disk_full(self.directory):
            self.writer.flush()

    def _write_images(self, model, step):
        palette = model.palette or default_palette(model.num_classes)
        number = 0
        for batch in range(len(self.batches)):
            images, masks, *_ = self.batches.batch(0, batch)
            for image, mask in zip(images, masks, strict=True):
                if number == _NUM_IMAGES:
                    return
                panel = _panel(image, mask, model.segment(image), palette)
                self._write(step, {f"input_label_prediction/{number}": panel})
                number += 1

    def _write(self, step, values):
        """Write {tag: number or image}."""
        if self.writer is None:
            return
        summary = require("tensorboard.compat.proto.summary_pb2", "tensorboard").Summary
        event = require("tensorboard.compat.proto.event_pb2", "tensorboard").Event
        found = [
            summary.Value(tag=tag, image=summary.Image(**value))
            if isinstance(value, dict)
            else summary.Value(tag=tag, simple_value=value)
            for tag, value in values.items()
        ]
        with named_if_disk_full(self.directory):
            self.writer.add_event(
                event(wall_time=time.time(), step=step, summary=summary(value=found))
            )


def _panel(image, mask, prediction, palette):
    """Return input, mask and prediction side by side, as the fields of a TensorBoard image."""
    from PIL import Image

    image = np.clip(image, 0, 255).astype(np.uint8)
    black = np.zeros_like(image)
    # Pixels without a class are black.
    parts = [image, overlay(black, mask, palette, 1.0), overlay(black, prediction, palette, 1.0)]
    panel = Image.fromarray(np.concatenate([np.asarray(part) for part in parts], axis=1))
    panel.thumbnail((3 * _IMAGE_SIZE, 3 * _IMAGE_SIZE))
    file = io.BytesIO()
    panel.save(file, format="PNG")
    return {
        "height": panel.height,
        "width": panel.width,
        "colorspace": 3,
        "encoded_image_string": file.getvalue(),
    }
