import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eseg_keras.latency import timed_rounds, timings


class Clock:
    """A fake clock that only the timed functions advance, with a record of their calls."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def __call__(self):
        return self.now

    def function(self, name, seconds):
        durations = iter(seconds)

        def call():
            self.calls.append(name)
            self.now += next(durations)

        return call


def test_every_function_runs_once_per_round_and_every_other_round_in_reverse():
    clock = Clock()
    functions = {name: clock.function(name, [1.0] * 4) for name in "abc"}
    rounds = list(timed_rounds(functions, rounds=3, warm_up=1, clock=clock))
    assert "".join(clock.calls) == "cba" + "abc" + "cba" + "abc"
    assert all(set(times) == set("abc") for times in rounds) and len(rounds) == 3


def test_warm_up_is_not_counted():
    clock = Clock()
    functions = {
        "a": clock.function("a", [90.0, 80.0, 0.001, 0.002]),
        "b": clock.function("b", [9, 9, 0.5, 0.25]),
    }
    rounds = list(timed_rounds(functions, rounds=2, warm_up=2, clock=clock))
    expected = [{"a": 1.0, "b": 500.0}, {"a": 2.0, "b": 250.0}]
    for found, wanted in zip(rounds, expected, strict=True):
        assert found == pytest.approx(wanted)


def test_rounds_before_an_interruption_are_kept():
    clock = Clock()

    def interrupted():
        if len(clock.calls) == 5:
            raise KeyboardInterrupt
        clock.calls.append("b")

    functions = {"a": clock.function("a", [1.0] * 9), "b": interrupted}
    rounds = []
    with pytest.raises(KeyboardInterrupt):
        for times in timed_rounds(functions, rounds=9, warm_up=0, clock=clock):
            rounds.append(times)
    assert len(rounds) == 2


@pytest.mark.parametrize("rounds, warm_up", [(0, 3), (3, -1)])
def test_counts_are_checked(rounds, warm_up):
    with pytest.raises(ValueError, match=f"Received: {rounds} and {warm_up}"):
        next(timed_rounds({}, rounds, warm_up))


@given(
    st.lists(st.tuples(st.floats(0.01, 1e4), st.floats(0.01, 1e4)), min_size=1, max_size=12),
)
def test_quartiles_are_numpys(pairs):
    rounds = [{"a": a, "b": b} for a, b in pairs]
    found = timings(rounds, reference="a")
    a, b = np.array(pairs).T
    assert (found["a"].ratio, found["a"].lower_quartile_ratio) == (1, 1)
    timing = found["b"]
    assert timing.rounds == len(pairs)
    assert timing.median_ms == pytest.approx(np.median(b))
    assert timing.lower_quartile_ms == pytest.approx(np.quantile(b, 0.25))
    assert timing.upper_quartile_ms == pytest.approx(np.quantile(b, 0.75))
    assert timing.ratio == pytest.approx(np.median(b / a))
    assert timing.lower_quartile_ratio == pytest.approx(np.quantile(b / a, 0.25))
    assert timing.upper_quartile_ratio == pytest.approx(np.quantile(b / a, 0.75))
