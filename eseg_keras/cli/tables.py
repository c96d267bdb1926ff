"""Tables in the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from eseg_keras.evaluation import ImageScores


def number_table(first: str, *others: str, title: str | None = None) -> Table:
    """Return a table; all columns except the first are right-aligned."""
    table = Table(first, title=title)
    for name in others:
        table.add_column(name, justify="right")
    return table


def print_table(table: Table) -> None:
    """Print a table; at its full width if the output is not a terminal."""
    # Names of files and classes are not markup.
    plain = {"markup": False, "emoji": False, "highlight": False}
    console = Console(**plain)
    if not console.is_terminal:
        # A file or a pipe has no width: do not truncate or wrap lines.
        console = Console(width=Console(width=1000, **plain).measure(table).maximum, **plain)
    console.print(table)


def print_scores(scores: dict, title: str) -> None:
    """Print the scores of `Evaluation.summary()`.

    Missing scores are skipped: files of earlier versions lack some scores.
    """
    from eseg_keras.evaluation.scores import SCORE_NAMES

    count = scores["num_images"]
    title += f", {count} image{'s' * (count != 1)}"
    table = number_table("class", "IoU %", "accuracy %", title=title)
    accuracies = scores.get("per_class_accuracy", {})
    for name, iou in scores["per_class_iou"].items():
        table.add_row(name, _percent(iou), _percent(accuracies.get(name)) if accuracies else "")
    table.add_section()
    for name, iou in scores.get("categories", {}).items():
        table.add_row(f"category {name}", _percent(iou), "")
    table.add_section()
    for key, name in SCORE_NAMES.items():
        if key in scores:
            cells = [_percent(scores[key]), ""]
            if "accuracy" in key:
                cells.reverse()
            table.add_row(name, *cells, style="bold" if key == "mean_iou" else None)
    print_table(table)


def print_worst_images(images: Sequence["ImageScores"], count: int = 5) -> None:
    """Print the images with the lowest mean IoU, the worst first."""
    from eseg_keras.evaluation.scores import worst_first

    table = number_table("worst images", "mean IoU %", "accuracy %")
    for scores in worst_first(images, count):
        table.add_row(scores.name, _percent(scores.mean_iou), _percent(scores.pixel_accuracy))
    if table.row_count:
        print_table(table)


def _percent(value):
    return "absent" if value is None else f"{100 * value:.1f}"
