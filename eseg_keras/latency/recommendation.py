"""Recommend the most accurate network, according to the paper, within a latency budget."""

import dataclasses
from collections.abc import Mapping, Sequence

from eseg_keras.presets.catalog import ARCHITECTURES, PRESETS

PAPER_MEAN_IOU = {
    name: size.paper_mean_iou for name, size in ARCHITECTURES.items() if size.paper_mean_iou
}
"""The paper's mean IoU in percent, by architecture. The paper's weights were not published."""


def paper_mean_iou(preset: str) -> float | None:
    """Return the mean IoU that the paper reports for the architecture of a preset.

    Args:
        preset: Name of a preset.

    Returns:
        Mean IoU in percent; `None` for architectures that are not in the paper and for directories.

    Example:

    >>> from eseg_keras.latency import paper_mean_iou
    >>> paper_mean_iou("eseg_m")
    81.6

    Reference:
        [Revisiting Multi-Scale Feature Fusion for Semantic Segmentation](https://arxiv.org/abs/2203.12683)
    """
    return PAPER_MEAN_IOU.get(PRESETS.get(preset, {}).get("architecture"))


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """The most accurate network within a budget, with the next faster and the next slower network.

    Args:
        budget_ms: The budget, in milliseconds.
        best: Row of the recommended network; `None` if no network is within the budget.
        faster: Row of the most accurate network that is faster and less accurate than `best`, or
            `None`.
        slower: Row of the least accurate network that is more accurate than `best`, or `None`. It
            exceeds the budget.
        fastest: The row with the lowest median latency.
    """

    budget_ms: float
    best: Mapping | None
    faster: Mapping | None
    slower: Mapping | None
    fastest: Mapping

    def sentences(self) -> list[str]:
        """Return the recommendation as sentences."""
        budget = f"{self.budget_ms:g} ms"
        if self.best is None:
            return [
                f"No measured network is within {budget} in three quarters of the rounds. The "
                f"fastest is {_words(self.fastest)}. "
                "Use smaller images, or more threads if there are free cores."
            ]
        found = [f"Recommended within {budget}: {_words(self.best)}."]
        if _is_int8(self.best):
            found.append("8 bits reduce the accuracy: compare label maps of your own images.")
        if self.faster:
            found.append(f"Next faster network: {_words(self.faster)}.")
        if self.slower:
            found.append(f"Next more accurate network, above the budget: {_words(self.slower)}.")
        return found


def recommend(rows: Sequence[Mapping], budget_ms: float) -> Recommendation:
    """Choose the most accurate network within a budget.

    A row is within the budget if the upper quartile of its latency is at most `budget_ms`. Networks
    are ranked by the mean IoU that the paper reports, and equally accurate networks by median
    latency. Of the formats of a network that are within the budget, the fastest is chosen; 8-bit
    formats only if no other is within the budget.

    Args:
        rows: The return value of `result_rows`, at least one row.
        budget_ms: Milliseconds for one image, above 0.

    Returns:
        The recommendation.

    Raises:
        ValueError: If the budget is not above 0, or if there are several networks and the paper
            does not report the accuracy of all.

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
            f"The accuracy of {unknown} is unknown. Expected rows of the paper's presets only, or "
            "of a single network."
        )

    def accuracy(row):
        return networks[row["network"]] or 0.0

    def by_accuracy(row):
        return accuracy(row), -row["median_ms"]

    fastest = min(rows, key=lambda row: row["median_ms"])
    chosen = [
        _choice([row for row in rows if row["network"] == network], budget_ms)
        for network in networks
    ]
    fitting = [row for row in chosen if _fits(row, budget_ms)]
    if not fitting:
        return Recommendation(budget_ms, None, None, None, fastest)
    best = max(fitting, key=by_accuracy)
    less_accurate = [row for row in chosen if accuracy(row) < accuracy(best)]
    faster = [row for row in less_accurate if row["median_ms"] < best["median_ms"]]
    slower = [row for row in chosen if accuracy(row) > accuracy(best)]
    return Recommendation(
        budget_ms,
        best,
        max(faster, key=by_accuracy, default=None),
        min(slower, key=lambda row: (accuracy(row), row["median_ms"]), default=None),
        fastest,
    )


def _fits(row, budget_ms):
    return row["upper_quartile_ms"] <= budget_ms


def _choice(rows, budget_ms):
    """Return the best row of a network within the budget; if none is, its fastest row."""
    fitting = [row for row in rows if _fits(row, budget_ms)]
    of_32_bits = [row for row in fitting if not _is_int8(row)]
    return min(of_32_bits or fitting or rows, key=lambda row: row["median_ms"])


def _is_int8(row):
    return "int8" in row["format"]


def _words(row):
    accuracy = paper_mean_iou(row["network"])
    paper = f", {accuracy}% mean IoU in the paper" if accuracy else ""
    return (
        f"{row['network']} as {row['format']}, {row['median_ms']:.1f} ms "
        f"({row['lower_quartile_ms']:.1f} to {row['upper_quartile_ms']:.1f}){paper}"
    )
