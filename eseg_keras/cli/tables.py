"""Tables in the terminal."""

from rich.console import Console
from rich.table import Table


def print_table(table: Table) -> None:
    """Print a table; where there is no terminal, at its full width."""
    console = Console()
    if not console.is_terminal:
        # A file or a pipe has no width to fit: nothing is cut or wrapped.
        console = Console(width=Console(width=1000).measure(table).maximum)
    console.print(table)


def print_scores(scores: dict, title: str) -> None:
    """Print per-class IoU, mean IoU and pixel accuracy.

    Args:
        scores: As `Evaluation.as_dict()` returns them.
        title: Title of the table.
    """
    table = Table("class", title=f"{title}, {scores['num_images']} images")
    table.add_column("IoU %", justify="right")
    for name, iou in scores["per_class_iou"].items():
        table.add_row(name, "absent" if iou is None else f"{100 * iou:.1f}")
    table.add_section()
    table.add_row("mean IoU", f"{100 * scores['mean_iou']:.1f}", style="bold")
    table.add_row("pixel accuracy", f"{100 * scores['pixel_accuracy']:.1f}")
    print_table(table)
