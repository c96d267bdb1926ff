"""Measured times as rows of a table."""

from collections.abc import Mapping, Sequence

from eseg_keras.latency.measurement import Loaded, Way
from eseg_keras.latency.timing import timings


def result_rows(
    loaded: Loaded, rounds: Sequence[Mapping[Way, float]], reference: Way
) -> list[dict]:
    """Summarise what was measured.

    Args:
        loaded: What was timed.
        rounds: What `measure` yielded, at least one round.
        reference: The way that has the ratio 1.

    Returns:
        One dict of columns for each way, in the order in which they were loaded. The ends of the
        middle half of the rounds are called quartiles.
    """
    height, width = loaded.image_size
    return [
        {
            "ratio": round(timing.ratio, 3),
            "ratio_lower_quartile": round(timing.lower_quartile_ratio, 3),
            "ratio_upper_quartile": round(timing.upper_quartile_ratio, 3),
            "reference": str(reference),
            "network": way.network,
            "format": way.format,
            "size": f"{height}x{width}",
            "batch_size": 1,
            "threads": loaded.facts[way]["threads"],
            "median_ms": round(timing.median_ms, 2),
            "lower_quartile_ms": round(timing.lower_quartile_ms, 2),
            "upper_quartile_ms": round(timing.upper_quartile_ms, 2),
            "rounds": timing.rounds,
            **loaded.facts[way],
        }
        for way, timing in timings(rounds, reference).items()
    ]
