"""Progress output of a run."""

import io
import os
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from rich.console import Console

from eseg_keras import progress as shared
from eseg_keras.training import callbacks as module
from eseg_keras.training.callbacks import TrainingProgress

LOGS = {"loss": 1.23456, "mean_iou": 0.5, "pixel_accuracy": 0.9}


class Clock:
    """A fake clock: training steps advance it, and tests set it."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    for timed in (module, shared):
        monkeypatch.setattr(timed, "time", SimpleNamespace(monotonic=clock))
    return clock


def train(progress, batches=(0, 1, 2), steps=3, epoch=0):
    """Call the callbacks like `fit`; a step takes a tenth of a second."""
    progress.set_params({"steps": steps})
    progress.on_train_begin()
    progress.on_epoch_begin(epoch)
    for batch in batches:
        module.time.monotonic.now += 0.1
        progress.on_train_batch_end(batch, LOGS)
    progress.on_epoch_end(epoch, LOGS)


def test_a_line_an_epoch_where_there_is_no_terminal(capsys):
    with TrainingProgress(12, 6, 4) as progress:
        train(progress, epoch=2)
        speed = progress.images_per_second()
        progress.on_test_begin()
        progress.print_epoch(2, {**LOGS, "val_loss": 2.0, "val_mean_iou": 0.25}, 12.34)
        train(progress, epoch=3)
        progress.print_epoch(3, {"loss": 1.0, "accuracy": 0.5, "val_accuracy": 0.75}, 100.0)
    assert speed == pytest.approx(4 / 0.1)
    assert capsys.readouterr().err.splitlines() == [
        "epoch   3  step 9/12  12.3 images/s  loss 1.2346  mIoU 0.5000  val loss 2.0000  "
        "val mIoU 0.2500",
        "epoch   4  step 12/12  100.0 images/s  loss 1.0000  accuracy 0.5000  val accuracy 0.7500",
    ]


def test_a_line_now_and_then_from_the_first_minute_on(capsys, clock, monkeypatch):
    monkeypatch.setattr(module, "_REFRESH", 0)
    with TrainingProgress(30, 0, 1) as progress:
        for epoch, now in enumerate((10, 30, 60, 89, 91)):
            clock.now = now
            train(progress, batches=(0,), epoch=epoch)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[:2] for line in lines] == [["epoch 2", "2/30"], ["epoch 5", "5/30"]]
    assert lines[0].endswith("10.0 images/s  loss 1.2346  mIoU 0.5000")


def test_lines_are_not_wrapped_or_marked_up(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "20")
    with TrainingProgress(3, 0, 1) as progress:
        train(progress)
        progress.print_epoch(0, LOGS, 1.0)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_run_that_begins_with_a_validation(capsys):
    with TrainingProgress(3, 3, 1) as progress:
        progress.on_test_begin()
        assert progress.images_per_second() == 0
        progress.print_epoch(0, LOGS, progress.images_per_second())
    assert capsys.readouterr().err.startswith("epoch   1  step 3/3  0.0 images/s")


def test_several_steps_a_call_do_not_overshoot():
    progress = TrainingProgress(6, 0, 1)
    for epoch in range(2):
        train(progress, batches=(1, 3), epoch=epoch)
    assert progress.step == 6


def test_fit_and_evaluate_drive_it(capsys):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse", jit_compile=False)
    data = np.ones((5, 2)), np.ones((5, 1))
    with TrainingProgress(3, 0, 2) as progress:
        model.fit(*data, batch_size=2, verbose=0, callbacks=[progress])
        model.evaluate(*data, verbose=0, callbacks=[progress])
    assert progress.step == 3 and progress.done == 3
    assert capsys.readouterr().err == ""


@pytest.fixture
def recorded(monkeypatch, clock):
    """A terminal console that records its output."""
    console = Console(file=io.StringIO(), force_terminal=True, width=160, get_time=clock)
    monkeypatch.setattr(shared, "Console", lambda **options: console)
    monkeypatch.setattr(module, "_REFRESH", 0)
    return console


def test_the_bar_shows_how_far_and_how_good(recorded):
    progress = TrainingProgress(10, 4, 2)
    assert not progress.shown.bar.disable
    train(progress, epoch=1)

    def shown():
        with recorded.capture() as capture:
            recorded.print(progress.shown.bar.make_tasks_table(progress.shown.bar.tasks))
        return capture.get()

    text = shown()
    assert "epoch 2" in text and " 7/10" in text and "━" in text
    assert "20.0 images/s  loss 1.2346  mIoU 0.5000" in text
    # The remaining three steps take 0.3 seconds, rounded up to one second.
    assert "00:01" in text
    progress.on_test_begin()
    assert "validating" in shown()


def test_on_a_terminal_it_is_drawn_and_taken_away(monkeypatch, terminal):
    monkeypatch.setattr(module, "_REFRESH", 0)
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(terminal.follower, "w", closefd=False) as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with TrainingProgress(3, 0, 1) as progress:
            train(progress)
            progress.print_epoch(0, LOGS, 1.0)
    text = terminal.end()
    assert "3/3" in text and "loss 1.2346" in text and "step 3/3  1.0 images/s" in text
    # At the end, the cursor is shown again and the line of the bar is erased.
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l") and "\x1b[2K" in text
