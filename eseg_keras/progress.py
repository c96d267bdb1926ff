"""Progress of long tasks: a bar on a terminal, occasional lines elsewhere."""

import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

Result = TypeVar("Result")

# Without a terminal: seconds before the first line, and seconds between lines.
FIRST_LINE = 20.0
NEXT_LINE = 60.0


class Progress:
    """Show the progress of a task on standard error.

    A terminal shows a bar, which disappears at the end. Otherwise one line is printed after 20
    seconds, and then one line per minute.
    """

    def __init__(self, description: str, total: int | None = None, done: int = 0):
        self.console = Console(stderr=True, markup=False, emoji=False, highlight=False)
        self.bar = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[details]}", markup=False),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task = self.bar.add_task(description, total=total, completed=done, details="")
        self._next_line = time.monotonic() + FIRST_LINE

    def __enter__(self) -> "Progress":
        self.bar.start()
        return self

    def __exit__(self, *exception) -> None:
        self.bar.stop()

    def update(
        self,
        done: int | None = None,
        total: int | None = None,
        description: str | None = None,
        details: str | None = None,
    ) -> None:
        """Update the shown values; arguments that are `None` change nothing."""
        changes = {} if details is None else {"details": details}
        self.bar.update(self._task, completed=done, total=total, description=description, **changes)
        if not self.console.is_terminal and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + NEXT_LINE
            task = self.bar.tasks[0]
            count = "" if task.total is None else f"{task.completed:.0f}/{task.total:.0f}"
            self.print(*filter(None, (task.description, count, task.fields["details"])))

    def print(self, *parts: str) -> None:
        """Print a line above the bar, without wrapping or markup."""
        self.console.print("  ".join(parts), soft_wrap=True)

    def track(self, results: Iterable[Result]) -> Iterator[Result]:
        """Yield the elements of an iterable and show how many are done."""
        if self.bar.tasks[0].total is None and isinstance(results, Sized):
            self.update(total=len(results))
        for done, result in enumerate(results, start=1):
            yield result
            self.update(done)
