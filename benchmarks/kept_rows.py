"""Read and write CSV files of results, so that interrupted benchmarks resume."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from eseg_keras.files import read_csv, write_csv
from eseg_keras.machine import machine


def is_measured(rows: Sequence[Mapping], case: Mapping) -> bool:
    """Return whether a case has a row, measured on this machine with these versions.

    Args:
        rows: The rows, from `read_rows`.
        case: The columns that define the case.
    """
    here = machine()
    # Excluded, because this process has not initialized the accelerator.
    del here["accelerator"]
    wanted = {name: str(value) for name, value in {**case, **here}.items()}
    return any(all(row[name] == value for name, value in wanted.items()) for row in rows)


def read_rows(path: Path) -> list[dict]:
    """Return the rows of a CSV, or an empty list if the file does not exist."""
    if not path.is_file():
        return []
    return read_csv(path, "Remove it and measure again.")


def write_rows(path: Path, rows: Sequence[Mapping]) -> None:
    """Write all rows as a CSV, atomically."""
    write_csv(path, rows[-1], ([row.get(name, "") for name in rows[-1]] for row in rows))


def write_measured(path: Path, rows: Sequence[Mapping]) -> None:
    """Write all rows of a run as a CSV, with the columns of `machine()` added."""
    write_rows(path, [{**row, **machine()} for row in rows])
