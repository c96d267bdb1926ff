"""Early ends of training that lose nothing: SIGTERM, and a loss that is not finite."""

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
    """Turn SIGTERM, which clusters send before they take a machine away, into an event.

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
    """Save in the middle of an epoch: every so many steps, and before leaving after SIGTERM.

    `save` takes the number of batches of this call of `fit` that are done, `first_step` counts the
    steps of the run before. The caller of `fit` saves after its last step, with the logs of the
    epoch. A validation is left without saving: its caller has saved before.
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
        """Leave a validation."""
        if self.leave.is_set():
            raise Preempted


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Stop as soon as the loss is infinite or not a number.

    `describe` takes the first and last batch of this call of `fit` that may have caused it, and
    returns the end of the message. Masks with values that are no labels get a message of their own.
    """

    def __init__(self, describe: Callable[[int, int], str]):
        super().__init__()
        self.describe = describe
        self.done = 0

    def on_train_batch_end(self, batch, logs=None):
        """Check the loss, the mean over the epoch so far."""
        # Several steps in one call may be more than remain.
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
