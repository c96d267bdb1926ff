"""Callbacks of a run: progress, saving, stops on SIGTERM or a non-finite loss, the user's own."""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np

from eseg_keras.progress import Progress
from eseg_keras.trainer import check_labels

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


class Preempted(Exception):
    """The run received SIGTERM and has saved its state."""


class NonFiniteLossError(ValueError):
    """The loss became infinite or not a number."""


@contextlib.contextmanager
def sigterm_flag() -> Iterator[threading.Event]:
    """Context manager: an event that the signal SIGTERM sets.

    Clusters send SIGTERM before they preempt a machine. Outside of the main thread, where Python
    cannot handle signals, the event is never set.
    """
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = signal.signal(signal.SIGTERM, lambda *_: flag.set())
    try:
        yield flag
    finally:
        signal.signal(signal.SIGTERM, before)


class SaveInEpoch(keras.callbacks.Callback):
    """Save within an epoch: every `every` steps, and on SIGTERM before raising `Preempted`.

    `save` receives the number of batches that this call of `fit` has completed, and returns `False`
    if another worker writes the checkpoints and has not saved this step yet; training then
    continues. `first_step` is the number of steps of the run before this call. The caller of `fit`
    saves after the last step, with the logs of the epoch. On SIGTERM during a validation, nothing
    is saved: the state was saved before the validation.
    """

    def __init__(
        self,
        save: Callable[[int], bool | None],
        every: int | None,
        leave: threading.Event,
        first_step: int = 0,
    ):
        super().__init__()
        self.save = save
        self.every = every or math.inf
        self.leave = leave
        self.first_step = first_step
        self.done = 0

    def on_train_batch_end(self, batch, logs=None):
        """Save if a save is due, except after the last step."""
        if batch + 1 >= self.params["steps"]:
            return
        before, self.done = self.done, batch + 1
        number = (self.first_step + self.done) // self.every
        if (self.first_step + before) // self.every < number or self.leave.is_set():
            is_saved = self.save(self.done)
            if self.leave.is_set() and is_saved is not False:
                raise Preempted

    def on_test_batch_end(self, batch, logs=None):
        """Stop a validation after SIGTERM."""
        if self.leave.is_set():
            raise Preempted


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Stop as soon as the loss is infinite or not a number.

    `describe` receives the indices, in this call of `fit`, of the first and last batch that may be
    the cause, and returns the end of the message. If the masks contain invalid values,
    `check_labels` raises its own error instead.
    """

    def __init__(self, describe: Callable[[int, int], str]):
        super().__init__()
        self.describe = describe
        self.done = 0

    def on_train_batch_end(self, batch, logs=None):
        """Check the loss, which is the mean over the epoch so far."""
        # With steps_per_execution above 1, `batch` may be past the end of the epoch.
        last = min(batch, self.params["steps"] - 1)
        if np.isfinite(logs["loss"]):
            self.done = last + 1
            return
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        check_labels(self.model.metrics, "training")
        raise NonFiniteLossError(
            f"The loss is {float(logs['loss'])} {self.describe(self.done, last)}"
        )


class RunCallbacks(keras.callbacks.Callback):
    """Call the user's Keras callbacks as a single `fit` over the whole run would.

    A run calls `fit` once per epoch. The callbacks' `on_epoch_end` also receives the validation
    scores, named `val_...`.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], model, num_epochs: int):
        super().__init__()
        self._all = keras.callbacks.CallbackList(list(callbacks), model=model, epochs=num_epochs)

    def begin_run(self) -> None:
        """Call `on_train_begin`."""
        self._all.on_train_begin()

    def on_epoch_begin(self, epoch, logs=None):
        """Forward the call; if `fit` trains this epoch, first update the number of steps."""
        if self.params:
            self._all.set_params({**self._all.params, "steps": self.params["steps"]})
        self._all.on_epoch_begin(epoch)

    def end_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        """Call `on_epoch_end`, after the validation of the epoch."""
        self._all.on_epoch_end(epoch, logs)

    def end_run(self) -> None:
        """Call `on_train_end`."""
        self._all.on_train_end()

    def _forward(name):
        def call(self, *args, **logs):
            getattr(self._all, name)(*args, **logs)

        return call

    on_train_batch_begin = _forward("on_train_batch_begin")
    on_train_batch_end = _forward("on_train_batch_end")
    on_test_begin = _forward("on_test_begin")
    on_test_batch_begin = _forward("on_test_batch_begin")
    on_test_batch_end = _forward("on_test_batch_end")
    on_test_end = _forward("on_test_end")


class TrainingProgress(keras.callbacks.Callback):
    """Show step, speed, remaining time, loss and scores of a run that starts at `step`."""

    def __init__(self, num_steps: int, step: int, batch_size: int, epoch: int = 0):
        super().__init__()
        self.num_steps = num_steps
        self.step = step
        self.batch_size = batch_size
        self.shown = Progress("training", num_steps, step)
        # A resumed run may begin with a validation, before `fit` calls this method.
        self.on_epoch_begin(epoch)

    def __enter__(self) -> "TrainingProgress":
        self.shown.__enter__()
        return self

    def __exit__(self, *exception) -> None:
        self.shown.__exit__(*exception)

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock of the epoch."""
        self.epoch = epoch
        self.done = 0
        self.began = self.updated = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        """Update the bar."""
        # With steps_per_execution above 1, `batch` may be past the end of the epoch.
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
