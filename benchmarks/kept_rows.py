"""Results as CSV, row by row, so that a benchmark can be stopped and goes on later."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from machine import machine


def is_measured(rows: Sequence[Mapping], case: Mapping) -> bool:
    """Tell whether a row holds a case, measured on this machine with these versions.

    Args:
        rows: What `read_rows` returned.
        case: Columns that say what was to be measured.
    """
    here = machine()
    # The process that asks has not loaded the accelerator.
    del here["accelerator"]
    wanted = {name: str(value) for name, value in {**case, **here}.items()}
    return any(all(row[name] == value for name, value in wanted.items()) for row in rows)


def read_rows(path: Path) -> list[dict]:
    """Return the rows of a CSV, none if there is no such file."""
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: Sequence[Mapping]) -> None:
    """Write a CSV in one go: whoever is killed on the way leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[-1], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(path)
