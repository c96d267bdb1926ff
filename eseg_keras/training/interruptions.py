"""What ends training early without losing it: preemption, and a loss that is not finite."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

import keras
import numpy as np

from eseg_keras.trainer import check_labels


class Preempted(Exception):
    """The run was asked to leave (SIGTERM), and has saved its state."""


class NonFiniteLossError(ValueError):
    """The loss became infinite or not a number."""


@contextlib.contextmanager
def sigterm_flag() -> Iterator[threading.Event]:
    """Turn SIGTERM, which clusters send before they take a machine away, into a flag.

    Returns:
        A context manager of an event that is set when the signal has come. Outside of the main
        thread, where Python handles no signals, it is never set.
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

    The end of `fit` is left to its caller: there nothing is saved and nothing raised.

    Args:
        save: Function of the number of batches of this call of `fit` that are done.
        every: Steps from one checkpoint to the next; `None` saves before leaving only.
        leave: Set when the run is to leave.
        first_step: Steps of the run done before this call of `fit`.

    Raises:
        Preempted: After the state was saved.
    """

    def __init__(
        self,
        save: Callable[[int], None],
        every: int | None,
        leave: threading.Event,
        first_step: int,
    ):
        super().__init__()
        self.save = save
        self.every = every
        self.leave = leave
        self.step = first_step

    def on_train_begin(self, logs=None):
        """Begin to count."""
        self.done = 0

    def on_train_batch_end(self, batch, logs=None):
        """Save if it is time, but after the last step, which ends the epoch and is saved there."""
        before, self.done = self.done, batch + 1
        if self.done == self.params["steps"]:
            return
        if self.done >= self.params["steps"]:
            # The end of `fit`. It is saved behind it, with what the epoch logged.
            return
        is_due = self.every is not None and (
            (self.step + before) // self.every < (self.step + self.done) // self.every
        )
        # Once, where both are true.
        if is_due or self.leave.is_set():
            self.save(self.done)
        if self.leave.is_set():
            raise Preempted

    def on_test_batch_end(self, batch, logs=None):
        """Leave a validation: the state before it is saved already."""
        if self.leave.is_set():
            raise Preempted


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Stop as soon as the loss is infinite or not a number.

    Args:
        describe: Function of the first and last batch of this call of `fit` that may have done it;
            it returns the end of the message: the step, the files, the last good checkpoint.

    Raises:
        ValueError: If the masks hold values that are no labels, which makes the loss not a number.
        NonFiniteLossError: Otherwise.
    """

    def __init__(self, describe: Callable[[int, int], str]):
        super().__init__()
        self.describe = describe

    def on_train_begin(self, logs=None):
        """Begin to count."""
        self.done = 0

    def on_train_batch_end(self, batch, logs=None):
        """Look at the loss, the mean over the epoch so far."""
        # Several steps in one call may be more than are left.
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
