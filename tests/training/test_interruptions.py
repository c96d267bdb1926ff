"""Runs that stop early save their state first."""

import os
import signal
import threading

import keras
import numpy as np
import pytest

from eseg_keras.losses import CrossEntropy
from eseg_keras.metrics import SegmentationScores
from eseg_keras.training.callbacks import (
    NonFiniteLossError,
    Preempted,
    SaveInEpoch,
    StopOnNonFiniteLoss,
    sigterm_flag,
)

IMAGES = np.ones((7, 4, 4, 2), "float32")
MASKS = np.zeros((7, 4, 4), "uint8")


def fit(callbacks, images=IMAGES, masks=MASKS, learning_rate=0.0, **options):
    """Train on seven batches of one image each."""
    inputs = keras.Input((4, 4, 2))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(inputs))
    model.compile(
        keras.optimizers.SGD(learning_rate), CrossEntropy(), metrics=[SegmentationScores(2)],
        jit_compile=False, **options,
    )  # fmt: skip
    model.fit(images, masks, batch_size=1, shuffle=False, verbose=0, callbacks=callbacks)


class SetAt(keras.callbacks.Callback):
    """When batch number `batch` begins, set `flag`, or without it send SIGTERM to this process."""

    def __init__(self, batch, flag=None):
        super().__init__()
        self.batch = batch
        self.flag = flag

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.batch:
            self.flag.set() if self.flag else os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_becomes_a_flag_for_a_while():
    def handler(*_):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with sigterm_flag() as flag:
            assert not flag.is_set()
            os.kill(os.getpid(), signal.SIGTERM)
            assert flag.wait(5)
        assert signal.getsignal(signal.SIGTERM) is handler
        with pytest.raises(KeyError), sigterm_flag():
            raise KeyError
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_go_without_it():
    results = []

    def work():
        with sigterm_flag() as flag:
            results.append(flag.is_set())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [False]


@pytest.mark.parametrize(
    "every, first_step, steps_per_execution, expected",
    [
        (2, 0, 1, [2, 4, 6]),
        # Multiples are counted in steps of the run, including steps before this call.
        (2, 3, 1, [1, 3, 5]),
        (5, 12, 1, [3]),
        (1, 0, 1, [1, 2, 3, 4, 5, 6]),
        # The last step of `fit` is not saved here: the caller of `fit` saves it.
        (7, 0, 1, []),
        (None, 0, 1, []),
        (2, 0, 3, [3, 6]),
        (4, 0, 2, [4]),
        (1, 0, 4, [4]),
    ],
)
def test_saved_every_so_many_steps(every, first_step, steps_per_execution, expected):
    saved = []
    callback = SaveInEpoch(saved.append, every, threading.Event(), first_step)
    fit([callback], steps_per_execution=steps_per_execution)
    assert saved == expected


@pytest.mark.parametrize("every", [None, 3, 2])
def test_sigterm_saves_once_and_leaves(every):
    saved = []
    with sigterm_flag() as leave, pytest.raises(Preempted):
        fit([SetAt(2), SaveInEpoch(saved.append, every, leave, 0)])
    assert saved[-1] == 3 and saved == sorted(set(saved))


def test_training_goes_on_until_another_worker_has_saved():
    flag, asked = threading.Event(), []
    flag.set()

    def save(done):
        asked.append(done)
        return done == 3

    with pytest.raises(Preempted):
        fit([SaveInEpoch(save, None, flag, 0)])
    assert asked == [1, 2, 3]


def test_the_end_of_an_epoch_is_finished_first():
    flag, saved = threading.Event(), []
    fit([SetAt(6, flag), SaveInEpoch(saved.append, 1, flag, 0)])
    assert flag.is_set() and saved == [1, 2, 3, 4, 5, 6]


def test_a_validation_is_left_without_saving():
    flag, saved = threading.Event(), []
    flag.set()
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    with pytest.raises(Preempted):
        model.evaluate(
            np.ones((3, 2)), np.ones((3, 1)), verbose=0,
            callbacks=[SaveInEpoch(saved.append, 1, flag, 0)],
        )  # fmt: skip
    assert saved == []


@pytest.mark.parametrize(
    "steps_per_execution, place", [(1, "batches 4 to 4"), (3, "batches 3 to 5"), (4, "4 to 6")]
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_says_where(steps_per_execution, place, value):
    images = IMAGES.copy()
    images[4] = value
    saved = []
    callbacks = [
        StopOnNonFiniteLoss(lambda first, last: f"in batches {first} to {last}."),
        SaveInEpoch(saved.append, 1, threading.Event(), 0),
    ]
    with pytest.raises(NonFiniteLossError, match=rf"^The loss is (nan|inf) in .*{place}\.$"):
        fit(callbacks, images, steps_per_execution=steps_per_execution)
    # Nothing is saved after the loss became non-finite.
    assert saved == {1: [1, 2, 3, 4], 3: [3], 4: [4]}[steps_per_execution]


def test_wrong_labels_are_told_from_a_loss_that_runs_away():
    masks = MASKS.copy()
    masks[3, 0, :3] = 9
    with pytest.raises(ValueError, match=r"9 \(3 pixels\)") as caught:
        fit([StopOnNonFiniteLoss(lambda first, last: "")], masks=masks)
    assert not isinstance(caught.value, NonFiniteLossError)
