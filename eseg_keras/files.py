"""Atomic writes, locks, and reading the JSON and CSV files that this package wrote.

A file or directory is written under a temporary name in the same folder, flushed to the disk and
renamed, so that readers see either the old content or the new. After an error the temporary file is
removed; if the process was killed, a later process that writes to the folder removes it.
"""

import contextlib
import csv
import datetime
import errno
import functools
import io
import json
import logging
import os
import re
import shutil
import socket
import tempfile
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows.
    fcntl = None

_LEFT_OVER = re.compile(r"\.eseg_tmp\.([0-9a-f]{8})\.(\d{1,9})\..*", re.DOTALL)
_LOCK = ".eseg_lock"
# The byte that is locked on Windows. It is beyond the end of the file, because other processes
# cannot read a locked byte.
_LOCKED_BYTE = 1 << 30
_LONGEST_NAME = 200
_MOST_DIGITS = 40
_DAY = 24 * 60 * 60.0
_FULL = (errno.ENOSPC, errno.EDQUOT) if hasattr(errno, "EDQUOT") else (errno.ENOSPC,)
_cleaning = threading.Lock()

_log = logging.getLogger("eseg_keras")


class DamagedFileError(ValueError):
    """A file is damaged or has another format; the message names the file and the remedy."""


class FileInUseError(OSError):
    """Another process writes to a folder or file; the message says which process."""


class DiskFullError(OSError):
    """The disk is full; the message names the file that could not be written."""

    def __init__(self, path: str | os.PathLike):
        super().__init__(
            f"{path} cannot be written: the disk is full. Free some space and rerun the same "
            "command; finished results are kept."
        )
        self.errno = errno.ENOSPC


@contextlib.contextmanager
def locked(folder: str | os.PathLike, name: str = "") -> Iterator[None]:
    """Hold the lock of a folder, or of its file `name`, until the end of the `with` block.

    The lock is an operating-system lock of a small hidden file, so it ends with the process. The
    file names the process that holds the lock, and is removed at the end. A missing folder is
    created, and removed at the end if it is still empty.

    Raises:
        FileInUseError: If another process, or another thread of this one, holds the lock.
        OSError: If the folder cannot be written.
    """
    path = Path(folder) / f"{_LOCK}.{_short(name)}".rstrip(".")
    missing = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = _open_locked(path, Path(folder, name))
        try:
            now = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
            holder = f"process {os.getpid()} on {socket.gethostname()} since {now}"
            # A full disk raises an error later, when the output is written.
            with contextlib.suppress(OSError):
                os.ftruncate(file, 0)
                os.write(file, holder.encode())
            yield
        finally:
            # Remove the file before it is unlocked: once it is unlocked, another process may lock
            # it.
            if fcntl is not None:
                path.unlink(missing_ok=True)
            os.close(file)
            if fcntl is None:  # Windows does not remove open files.
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
    finally:
        with contextlib.suppress(OSError):
            for parent in missing:
                parent.rmdir()  # Fails if the folder is not empty.


def _open_locked(path, target):
    """Open and lock a lock file; raise `FileInUseError` if it is already locked."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(file)
            # The previous holder may have removed the file after it was opened here.
            if _is_at(file, path):
                return file
        except (BlockingIOError, PermissionError):
            holder = os.read(file, 1000).decode(errors="replace") or "another process"
            os.close(file)
            raise FileInUseError(
                f"{target} is in use by {holder}. Wait until it ends, or choose another output."
            ) from None
        except FileNotFoundError:
            pass
        except OSError as error:  # Some network file systems do not support locks.
            _log.warning("%s cannot be locked (%s): run one process at a time.", target, error)
            return file
        os.close(file)


def _is_at(file, path):
    """Return whether an open file is still the file at `path`, and was not removed or replaced."""
    return os.path.exists(path) and os.path.samestat(os.fstat(file), os.stat(path))


def _lock(file):
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    import msvcrt

    os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    finally:
        os.lseek(file, 0, os.SEEK_SET)


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path, with the suffix of `path`; rename it to `path` at the end.

    `path` is a file, which is overwritten if it exists, or a directory that does not exist yet. The
    parent folder is created.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} cannot be written: it is a directory. Rename or remove the directory."
        )
    with _temporary(path, path.parent) as temporary:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary directory; rename it to `path` at the end.

    Unless `overwrite` is true, raise `FileExistsError` if `path` is a file or a non-empty
    directory. Raise `FileInUseError` if another process writes the same directory.
    """
    path = Path(path).resolve()
    if not overwrite:
        check_is_new(path)
    is_empty = path.is_dir() and not any(path.iterdir())
    # An empty directory may be the working directory or a mount point, so it is not replaced: the
    # files are moved into it.
    folder = path if is_empty else path.parent
    with locked(folder, path.name), _temporary(path, folder) as temporary:
        temporary.mkdir()
        yield temporary
        _flush(temporary)
        if is_empty:
            _move_files(temporary, path)
        else:
            # The old directory gets no temporary name: if this process were killed before the new
            # directory is in place, a later process would remove both directories.
            old = folder / f".{path.name}.{os.getpid()}.replaced"
            if path.is_dir():
                path.replace(old)
            try:
                temporary.replace(path)
            except OSError:
                if old.is_dir():
                    old.replace(path)
                raise
            shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def temporary_directory() -> Iterator[str]:
    """Yield a new directory among the system's temporary files; remove it at the end."""
    with tempfile.TemporaryDirectory() as folder, named_if_disk_full(folder):
        yield folder


def check_is_new(directory: str | os.PathLike) -> None:
    """Raise `FileExistsError` if a path is a file or a non-empty directory."""
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise FileExistsError(
            f"{directory} {'exists and is not empty' if directory.is_dir() else 'is a file'}. "
            "Choose another directory or remove it."
        )


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file in UTF-8 atomically.

    Characters that UTF-8 cannot encode, which some file names contain, become backslash escapes.
    """
    with atomic_file(path) as temporary:
        temporary.write_bytes(text.encode(errors="backslashreplace"))


def write_json(path: str | os.PathLike, value: object) -> None:
    """Write a value as an indented JSON file atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_csv(path: str | os.PathLike, names: Iterable[str], rows: Iterable[Iterable]) -> None:
    """Write a CSV file atomically: the names of the columns, then one line per row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def append_line(path: str | os.PathLike, text: str) -> None:
    """Append a line to a text file, and flush it to the disk."""
    with named_if_disk_full(path), Path(path).open("a", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_text(path: str | os.PathLike, remedy: str) -> str:
    """Read a UTF-8 text file, also with a byte order mark; error messages end with `remedy`."""
    check_is_file(path, remedy)
    try:
        return Path(path).read_text("utf-8-sig")
    except ValueError as error:
        raise _damaged(path, f"it is not UTF-8 text ({error})", remedy) from error


def read_json(
    path: str | os.PathLike,
    remedy: str,
    fields: Mapping[str, type | tuple[type, ...]] | None = None,
    defaults: Mapping[str, object] | None = None,
) -> dict:
    """Read a JSON object and check its fields; error messages end with `remedy`."""
    text = read_text(path, remedy)
    try:
        content = json.loads(text, parse_int=_whole_number)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"it is not valid JSON ({error})", remedy) from error
    if not isinstance(content, dict):
        raise _damaged(path, f"it contains a {type(content).__name__}, not a JSON object", remedy)
    content = {**(defaults or {}), **content}
    for name, types in (fields or {}).items():
        if name not in content:
            raise _damaged(path, f"it has no {name!r}", remedy)
        if not isinstance(content[name], types):
            raise _damaged(path, f"{name!r} is a {type(content[name]).__name__}", remedy)
    return content


def _whole_number(text):
    # The package writes no such numbers; very long ones would overflow a float.
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def read_csv(path: str | os.PathLike, remedy: str) -> list[dict[str, str]]:
    """Read the rows of a CSV file; missing values of an incomplete last row are `None`."""
    text = read_text(path, remedy)
    try:
        if "\0" in text:
            raise ValueError("NUL bytes")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (ValueError, csv.Error) as error:
        raise _damaged(path, f"it is not valid CSV ({error})", remedy) from error
    for number, row in enumerate(rows, 1):
        if None in row or (None in row.values() and number < len(rows)):
            raise _damaged(path, f"row {number} does not have one value per column", remedy)
    return rows


def check_is_file(path: str | os.PathLike, remedy: str) -> None:
    """Raise `DamagedFileError` if the path is a directory."""
    if Path(path).is_dir():
        raise _damaged(path, "it is a directory", remedy)


def _damaged(path, problem, remedy):
    return DamagedFileError(f"{path} is damaged: {problem}. {remedy}")


@contextlib.contextmanager
def _temporary(path, folder):
    """Yield an unused path in a folder; remove the path at the end."""
    is_new = not folder.exists()  # A new folder is removed after an error.
    folder.mkdir(parents=True, exist_ok=True)
    with _cleaning:
        # The real path is the cache key: otherwise, a second call for the same folder, under
        # another name, would remove files that this process is writing.
        _remove_left_overs(os.path.realpath(folder), os.getpid())
    temporary = folder / f".eseg_tmp.{_host()}.{os.getpid()}.{_short(path.name)}"
    _remove(temporary)
    with named_if_disk_full(path):
        try:
            yield temporary
        except BaseException:
            with contextlib.suppress(OSError):
                _remove(temporary)
                if is_new:
                    folder.rmdir()  # Fails if the folder is not empty.
            raise
    _remove(temporary)


def _short(name):
    """Return a file name; if it is too long, its checksum and suffix."""
    content = os.fsencode(name)
    if len(content) <= _LONGEST_NAME:
        return name
    return f"{zlib.crc32(content):08x}{Path(name).suffix}"


@contextlib.contextmanager
def named_if_disk_full(path: str | os.PathLike) -> Iterator[None]:
    """Context manager: raise `DiskFullError`, which names `path`, if the disk is full."""
    try:
        yield
    except Exception as error:
        # HDF5 and TensorFlow raise exceptions without this errno.
        if getattr(error, "errno", None) in _FULL or os.strerror(errno.ENOSPC) in str(error):
            raise DiskFullError(path) from error
        raise


def _host():
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


# Runs once per folder and process: a folder may contain thousands of files.
@functools.cache
def _remove_left_overs(folder, own):
    """Remove the temporary files, directories and lock files of processes that no longer run.

    At the first call in a process, files with its own process id are from an earlier process with
    the same id, such as before the restart of a container. Processes on other hosts cannot be
    checked: their temporary files are removed one day after the last change.
    """
    for name in os.listdir(folder):
        path = Path(folder, name)
        if name.startswith(_LOCK):
            _remove_unless_locked(path)
        elif match := _LEFT_OVER.fullmatch(name):
            host, process = match[1], int(match[2])
            with contextlib.suppress(OSError):
                if host != _host():
                    is_old = time.time() - path.stat().st_mtime > _DAY
                else:
                    is_old = process == own or not _is_running(process)
                if is_old:
                    _remove(path)


def _remove_unless_locked(path):
    if fcntl is not None:  # Windows does not remove open files.
        with contextlib.suppress(OSError), path.open("r+") as file:
            _lock(file.fileno())
            if _is_at(file.fileno(), path):
                path.unlink()


def _is_running(process):
    if os.name == "posix":  # Signal 0 only checks that a process exists; Windows has no such check.
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
    # Windows flushes only files that are open for writing; on Linux, a file may be read-only.
    mode = "r+b" if os.name == "nt" else "rb"
    for file in filter(Path.is_file, path.rglob("*") if path.is_dir() else [path]):
        with file.open(mode) as opened:
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
