"""Interleaved timing of several functions."""

import dataclasses
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

import numpy as np

# The first calls are slower: they compile, allocate memory and fill caches.
WARM_UP = 3


@dataclasses.dataclass(frozen=True)
class Timing:
    """Median and quartiles of the times of one function over all rounds.

    Args:
        median_ms: Median time, in milliseconds.
        lower_quartile_ms: Lower quartile of the times.
        upper_quartile_ms: Upper quartile of the times.
        ratio: Median of the ratios of the time to the reference's time in the same round.
        lower_quartile_ratio: Lower quartile of the ratios.
        upper_quartile_ratio: Upper quartile of the ratios.
        rounds: Number of rounds.
    """

    median_ms: float
    lower_quartile_ms: float
    upper_quartile_ms: float
    ratio: float
    lower_quartile_ratio: float
    upper_quartile_ratio: float
    rounds: int


def timed_rounds(
    functions: Mapping[Hashable, Callable[[], object]],
    rounds: int,
    warm_up: int = WARM_UP,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[dict[Hashable, float]]:
    """Time every function once per round, so that other load on the machine affects all equally.

    Every second round runs in reverse order, so that no function always follows the same other one.

    Args:
        functions: {name: function}; the functions are called without arguments.
        rounds: Number of measured rounds.
        warm_up: Number of rounds before the measured ones. Defaults to 3.
        clock: Function that returns seconds. Defaults to `time.perf_counter`.

    Yields:
        For each round, {name: milliseconds}.

    Raises:
        ValueError: If `rounds` is below 1 or `warm_up` below 0.

    Example:

    >>> from eseg_keras.latency import timed_rounds
    >>> rounds = list(timed_rounds({"sum": lambda: sum(range(9))}, rounds=2))
    >>> len(rounds), rounds[0]["sum"] > 0
    (2, True)
    """
    if rounds < 1 or warm_up < 0:
        raise ValueError(f"Expected rounds >= 1 and warm_up >= 0. Received: {rounds} and {warm_up}")
    names = list(functions)
    for number in range(-warm_up, rounds):
        times = {}
        for name in names if number % 2 == 0 else reversed(names):
            start = clock()
            functions[name]()
            times[name] = (clock() - start) * 1000
        if number >= 0:
            yield times


def timings(
    rounds: Sequence[Mapping[Hashable, float]], reference: Hashable
) -> dict[Hashable, Timing]:
    """Summarise rounds; ratios are computed within each round, where the load is the same.

    Args:
        rounds: The rounds that `timed_rounds` yielded, at least one.
        reference: Name of the function with whose time the others are compared; its ratio is 1.

    Returns:
        {name: `Timing`}.

    Example:

    >>> from eseg_keras.latency import timings
    >>> found = timings([{"a": 2.0, "b": 3.0}, {"a": 4.0, "b": 8.0}], reference="a")
    >>> found["b"].median_ms, found["b"].ratio
    (5.5, 1.75)
    """
    base = np.array([times[reference] for times in rounds])
    found = {}
    for name in rounds[0]:
        milliseconds = np.array([times[name] for times in rounds])
        low, median, high = np.percentile(milliseconds, (25, 50, 75)).tolist()
        ratios = np.percentile(milliseconds / base, (25, 50, 75)).tolist()
        found[name] = Timing(median, low, high, ratios[1], ratios[0], ratios[2], len(rounds))
    return found
