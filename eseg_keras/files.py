"""Atomic writes, and reading the JSON and CSV files that this package wrote.

A file or directory is written under a temporary name in the same folder, flushed to the disk and
renamed, so that readers see either the old content or the new. After an error the temporary file is
removed; if the process was killed, the next process that writes to the folder removes it.
"""

import contextlib
import csv
import functools
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_LEFT_OVER = re.compile(r"\.eseg_tmp\.(\d{1,9})\..*", re.DOTALL)


class DamagedFileError(ValueError):
    """A file that this package wrote is damaged; the message names the file and the remedy."""


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path, with the suffixes of `path`, that is renamed to it at the end.

    `path` is a file, which is replaced if it exists, or a directory that does not exist. Its folder
    is created.
    """
    path = Path(path)
    with _temporary(path, path.parent) as temporary:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary directory that is renamed to `path` at the end.

    Unless `overwrite` is true, raise `FileExistsError` if the directory holds anything.
    """
    path = Path(path).resolve()
    if not overwrite:
        check_is_new(path)
    is_empty = path.is_dir() and not any(path.iterdir())
    # An empty directory may be the working directory or a mount point, so it is not replaced: the
    # files are moved into it.
    with _temporary(path, path if is_empty else path.parent) as temporary:
        temporary.mkdir()
        yield temporary
        _flush(temporary)
        if is_empty:
            _move_files(temporary, path)
        else:
            if path.is_dir():
                shutil.rmtree(path)
            temporary.replace(path)


def check_is_new(directory: str | os.PathLike) -> None:
    """Raise `FileExistsError` if a path is a file, or a directory that holds anything."""
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise FileExistsError(
            f"{directory} exists and is not empty. Choose another directory or remove it."
        )


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, "utf-8")


def write_json(path: str | os.PathLike, value: object) -> None:
    """Write a value as an indented JSON file atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_csv(path: str | os.PathLike, names: Iterable[str], rows: Iterable[Iterable]) -> None:
    """Write a CSV file atomically: the names of the columns, then one line per row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    with atomic_file(path) as temporary:
        temporary.write_bytes(text.getvalue().encode())


def read_json(
    path: str | os.PathLike,
    remedy: str,
    fields: Mapping[str, type | tuple[type, ...]] | None = None,
) -> dict:
    """Read a JSON object with the given fields; an error message ends with the remedy."""
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"it holds no JSON ({error})", remedy) from error
    if not isinstance(content, dict):
        raise _damaged(path, f"it holds a {type(content).__name__}, not a JSON object", remedy)
    for name, types in (fields or {}).items():
        if name not in content:
            raise _damaged(path, f"it has no {name!r}", remedy)
        if not isinstance(content[name], types):
            raise _damaged(path, f"{name!r} is a {type(content[name]).__name__}", remedy)
    return content


def read_csv(path: str | os.PathLike, remedy: str) -> list[dict[str, str]]:
    """Read the rows of a CSV file; values that an incomplete last row lacks are `None`."""
    try:
        text = Path(path).read_text("utf-8")
        if "\0" in text:
            raise ValueError("NUL bytes")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (ValueError, csv.Error) as error:
        raise _damaged(path, f"it holds no CSV ({error})", remedy) from error
    for number, row in enumerate(rows, 1):
        if None in row or (None in row.values() and number < len(rows)):
            raise _damaged(path, f"row {number} does not have one value per column", remedy)
    return rows


def _damaged(path, problem, remedy):
    return DamagedFileError(f"{path} is damaged: {problem}. {remedy}")


@contextlib.contextmanager
def _temporary(path, folder):
    """Yield an unused path in a folder, and remove it at the end; on error, also a new folder."""
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    _remove_left_overs(os.path.abspath(folder))
    temporary = folder / f".eseg_tmp.{os.getpid()}.{path.name}"
    _remove(temporary)
    try:
        yield temporary
    except BaseException:
        with contextlib.suppress(OSError):
            _remove(temporary)
            if is_new:
                folder.rmdir()  # Fails if it holds anything.
        raise
    _remove(temporary)


@functools.cache  # Once per process: a folder may hold thousands of files.
def _remove_left_overs(folder):
    """Remove the temporary files and directories of processes that no longer run."""
    for name in os.listdir(folder):
        match = _LEFT_OVER.fullmatch(name)
        if match and not _is_running(int(match[1])):
            with contextlib.suppress(OSError):
                _remove(Path(folder, name))


def _is_running(process):
    if os.name == "posix":  # Signal 0 only checks that a process exists; elsewhere there is none.
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        except OSError:  # The process belongs to another user.
            return True
    return True


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path):
    """Flush a file, or the files of a directory, to the disk."""
    for file in filter(Path.is_file, path.rglob("*") if path.is_dir() else [path]):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


def _move_files(source, target):
    moved = []
    try:
        for path in sorted(source.iterdir()):
            moved.append(path.replace(target / path.name))
    except OSError:
        for path in moved:
            _remove(path)
        raise
