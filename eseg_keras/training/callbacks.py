"""Call the user's Keras callbacks during a run."""

from collections.abc import Sequence

import keras


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
        """Forward the call; if this epoch is trained, first update the number of steps."""
        if self.params:
            self._all.set_params({**self._all.params, "steps": self.params["steps"]})
        self._all.on_epoch_begin(epoch)

    def on_train_batch_begin(self, batch, logs=None):
        """Forward the call."""
        self._all.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        """Forward the call."""
        self._all.on_train_batch_end(batch, logs)

    def on_test_begin(self, logs=None):
        """Forward the call."""
        self._all.on_test_begin(logs)

    def on_test_batch_begin(self, batch, logs=None):
        """Forward the call."""
        self._all.on_test_batch_begin(batch, logs)

    def on_test_batch_end(self, batch, logs=None):
        """Forward the call."""
        self._all.on_test_batch_end(batch, logs)

    def on_test_end(self, logs=None):
        """Forward the call."""
        self._all.on_test_end(logs)

    def end_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        """Call `on_epoch_end`; called after the validation."""
        self._all.on_epoch_end(epoch, logs)

    def end_run(self) -> None:
        """Call `on_train_end`."""
        self._all.on_train_end()
