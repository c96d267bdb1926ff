"""Progress of a run: a bar on a terminal, otherwise regular lines; and one line per epoch."""

import time

import keras

from eseg_keras.progress import Progress

# Seconds between updates of loss and scores. Each update waits for the device.
_REFRESH = 0.5
_SCORES = {
    "loss": "loss",
    "mean_iou": "mIoU",
    "accuracy": "accuracy",
    "val_loss": "val loss",
    "val_mean_iou": "val mIoU",
    "val_accuracy": "val accuracy",
}


class TrainingProgress(keras.callbacks.Callback):
    """Show step, speed, remaining time, loss and scores of a run that starts at `step`."""

    def __init__(self, num_steps: int, step: int, batch_size: int, epoch: int = 0):
        super().__init__()
        self.num_steps = num_steps
        self.step = step
        self.batch_size = batch_size
        self.shown = Progress("training", num_steps, step)
        # A resumed run may begin with a validation.
        self.on_epoch_begin(epoch)

    def __enter__(self) -> "TrainingProgress":
        self.shown.__enter__()
        return self

    def __exit__(self, *exception) -> None:
        self.shown.__exit__(*exception)

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.epoch = epoch
        self.done = 0
        self.began = self.updated = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        """Update the bar."""
        # With several steps per call, the last call may count past the end of the epoch.
        before, self.done = self.done, min(batch + 1, self.params["steps"])
        self.step += self.done - before
        now = time.monotonic()
        if now - self.updated < _REFRESH and self.step < self.num_steps:
            return
        self.updated = now
        self.shown.update(
            self.step,
            description=f"epoch {self.epoch + 1}",
            details=f"{self.images_per_second():.1f} images/s  {_scores(logs)}",
        )

    def on_test_begin(self, logs=None):
        """Show that a validation is running. The bar does not move during a validation."""
        self.shown.update(description="validating")

    def images_per_second(self) -> float:
        """Return the speed of training in this epoch."""
        return self.done * self.batch_size / max(time.monotonic() - self.began, 1e-9)

    def print_epoch(self, epoch: int, logs: dict[str, float], speed: float) -> None:
        """Print the line of a finished epoch."""
        self.shown.print(
            f"epoch {epoch + 1:>3}  step {self.step}/{self.num_steps}  {speed:.1f} images/s  "
            f"{_scores(logs)}"
        )


def _scores(logs):
    return "  ".join(f"{text} {logs[name]:.4f}" for name, text in _SCORES.items() if name in logs)
