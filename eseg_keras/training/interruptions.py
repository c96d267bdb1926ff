"""Stop training early without losing its state: on SIGTERM, or if the loss is not finite."""

import contextlib
import math
import signal
import threading
from collections.abc import Callable, Iterator

import keras
import numpy as np

from eseg_keras.trainer import check_labels


class Preempted(Exception):
    """The run received SIGTERM and has saved its state."""


class NonFiniteLossError(ValueError):
    """The loss became infinite or not a number."""


@contextlib.contextmanager
def sigterm_flag() -> Iterator[threading.Event]:
    """Turn SIGTERM, which clusters send before they preempt a machine, into an event.

    Outside of the main thread, where Python handles no signals, the event is never set.
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
    """Save within an epoch: every `every` steps, and after SIGTERM, which then stops the training.

    `save` takes the number of batches done in this call of `fit`; `first_step` is the number of
    steps of the run before it. The caller of `fit` saves after the last step, with the logs of the
    epoch. SIGTERM stops a validation without saving: the state was saved before the validation.
    """

    def __init__(
        self, save: Callable[[int], None], every: int | None, leave: threading.Event, first_step=0
    ):
        super().__init__()
        self.save = save
        self.every = every or math.inf
        self.leave = leave
        self.first_step = first_step
        self.done = 0

    def on_train_batch_end(self, batch, logs=None):
        """Save if it is time, except after the last step."""
        if batch + 1 >= self.params["steps"]:
            return
        before, self.done = self.done, batch + 1
        number = (self.first_step + self.done) // self.every
        if (self.first_step + before) // self.every < number or self.leave.is_set():
            self.save(self.done)
        if self.leave.is_set():
            raise Preempted

    def on_test_batch_end(self, batch, logs=None):
        """Stop a validation after SIGTERM."""
        if self.leave.is_set():
            raise Preempted


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Stop as soon as the loss is infinite or not a number.

    `describe` takes the first and last batch of this call of `fit` that may have caused it, and
    returns the end of the message. Invalid mask values get a message of their own.
    """

    def __init__(self, describe: Callable[[int, int], str]):
        super().__init__()
        self.describe = describe
        self.done = 0

    def on_train_batch_end(self, batch, logs=None):
        """Check the loss, the mean over the epoch so far."""
        # With several steps per call, the last call may count past the end of the epoch.
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
