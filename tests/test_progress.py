"""Progress bars and progress lines."""

import os
import sys
from types import SimpleNamespace

import pytest

from eseg_keras import progress as module
from eseg_keras.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_line_after_20_seconds_and_one_per_minute_where_there_is_no_terminal(capsys, clock):
    with Progress("Evaluating [a]", total=200) as progress:
        for second in progress.track(range(200)):
            clock.now = second
    captured = capsys.readouterr()
    assert captured.out == ""
    counts = [21, 81, 141]
    assert captured.err.splitlines() == [f"Evaluating [a]  {count}/200" for count in counts]


def test_short_work_is_silent(capsys, clock):
    with Progress("Evaluating", total=3) as progress:
        assert list(progress.track("abc")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_an_unknown_total_may_come_later(capsys, clock):
    progress = Progress("Predicting")
    clock.now = 30.0
    progress.update(description="Looking")
    clock.now = 100.0
    progress.update(1, 4, details="2.0/s")
    assert capsys.readouterr().err.splitlines() == ["Looking", "Looking  1/4  2.0/s"]


def test_a_bar_on_a_terminal(monkeypatch, terminal, clock):
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(terminal.follower, "w", closefd=False) as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with Progress("Evaluating", total=2) as progress:
            for _ in progress.track(range(2)):
                clock.now += 30
    text = terminal.end()
    assert "2/2" in text and "\x1b[2K" in text
    assert "Evaluating  1/2" not in text
