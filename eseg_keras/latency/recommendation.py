"""Which network fits a time budget."""

import dataclasses
from collections.abc import Mapping, Sequence

from eseg_keras.latency.accuracy import paper_mean_iou


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """The most accurate network within a budget, and its neighbours.

    Args:
        budget_ms: The budget.
        best: Row of what is recommended, `None` if nothing fits.
        faster: Row of the next less accurate network that is faster, `None` without one.
        slower: Row of the next more accurate network, which does not fit, `None` without one.
        fastest: The fastest row of all.
    """

    budget_ms: float
    best: Mapping | None
    faster: Mapping | None
    slower: Mapping | None
    fastest: Mapping

    def sentences(self) -> list[str]:
        """Return the recommendation in words.

        Returns:
            List of sentences.
        """
        budget = f"{self.budget_ms:g} ms"
        if self.best is None:
            return [
                f"Nothing that was measured stays within {budget}: the fastest is "
                f"{_words(self.fastest)}. Smaller images take less; so do more threads, where "
                "there are cores for them."
            ]
        found = [f"Recommended within {budget}: {_words(self.best)}."]
        if _is_8_bit(self.best):
            found.append("8 bits cost some accuracy: compare its labels on photos of your own.")
        if self.faster:
            found.append(f"Next faster network: {_words(self.faster)}.")
        if self.slower:
            found.append(f"Next more accurate, beyond the budget: {_words(self.slower)}.")
        return found


def recommend(rows: Sequence[Mapping], budget_ms: float) -> Recommendation:
    """Choose the most accurate network that stays within a budget.

    A way fits where three rounds in four did: by its upper quartile. Networks are compared by the
    mean IoU that the paper reports for them; of two that are as accurate the faster one is taken,
    and of the formats that fit a 32-bit one before an 8-bit one, then the fastest.

    Args:
        rows: What `result_rows` returned, at least one.
        budget_ms: Milliseconds for one image, above 0.

    Returns:
        The recommendation.

    Raises:
        ValueError: If the budget is not above 0, or there are several networks and the paper says
            nothing on one of them.

    Example:

    >>> from eseg_keras.latency import recommend
    >>> rows = [
    ...     {"network": name, "format": "onnx", "median_ms": ms, "lower_quartile_ms": ms,
    ...      "upper_quartile_ms": ms}
    ...     for name, ms in [("eseg_lite_s", 20.0), ("eseg_lite_m", 45.0), ("eseg_s", 80.0)]
    ... ]
    >>> recommend(rows, budget_ms=50).best["network"]
    'eseg_lite_m'
    """
    if not budget_ms > 0:
        raise ValueError(f"The budget must be above 0 ms. Received: {budget_ms:g}")
    networks = {row["network"]: paper_mean_iou(row["network"]) for row in rows}
    if len(networks) > 1 and None in networks.values():
        unknown = next(name for name, value in networks.items() if value is None)
        raise ValueError(
            f"There is no published accuracy of {unknown} to compare it by. Give --budget_ms for "
            "presets by name, or for one network alone."
        )
    chosen = [
        _choice([row for row in rows if row["network"] == network], budget_ms)
        for network in networks
    ]
    fastest = min(rows, key=lambda row: row["median_ms"])
    fitting = [row for row in chosen if _fits(row, budget_ms)]
    if not fitting:
        return Recommendation(budget_ms, None, None, None, fastest)

    def accuracy(row):
        return networks[row["network"]] or 0.0

    best = max(fitting, key=lambda row: (accuracy(row), -row["median_ms"]))
    return Recommendation(
        budget_ms,
        best,
        faster=max(
            (
                row
                for row in chosen
                if accuracy(row) < accuracy(best) and row["median_ms"] < best["median_ms"]
            ),
            key=lambda row: (accuracy(row), -row["median_ms"]),
            default=None,
        ),
        slower=min(
            (row for row in chosen if accuracy(row) > accuracy(best)),
            key=lambda row: (accuracy(row), row["median_ms"]),
            default=None,
        ),
        fastest=fastest,
    )


def _fits(row, budget_ms):
    return row["upper_quartile_ms"] <= budget_ms


def _choice(rows, budget_ms):
    """What one would run of a network within the budget, else its fastest."""
    fitting = [row for row in rows if _fits(row, budget_ms)]
    of_32_bits = [row for row in fitting if not _is_8_bit(row)]
    return min(of_32_bits or fitting or rows, key=lambda row: row["median_ms"])


def _is_8_bit(row):
    return "int8" in row["format"]


def _words(row):
    accuracy = paper_mean_iou(row["network"])
    paper = f", {accuracy}% mean IoU in the paper" if accuracy else ""
    return (
        f"{row['network']} as {row['format']}, {row['median_ms']:.1f} ms "
        f"({row['lower_quartile_ms']:.1f} to {row['upper_quartile_ms']:.1f}){paper}"
    )
