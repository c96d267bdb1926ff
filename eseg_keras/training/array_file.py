"""Atomic .npz files."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from eseg_keras.files import atomic_file


class ArrayFileError(ValueError):
    """A file that does not hold what was written."""


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays atomically.

    Args:
        path: The file, `*.npz`.
        arrays: From name to array.

    Raises:
        OSError: If the disk is full or cannot be written; nothing is left behind.
    """
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        # `savez` stores a checksum with each array, which reading compares.
        np.savez(file, allow_pickle=False, **{_escape(k): v for k, v in arrays.items()})


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote.

    Args:
        path: The file.

    Returns:
        From name to array.

    Raises:
        ArrayFileError: If the file is torn or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {_unescape(name): file[name] for name in file.files}
    except (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, OSError) as error:
        raise ArrayFileError(f"{path} is damaged or incomplete: {error}") from error


def _escape(name):
    return name.replace("/", "|")


def _unescape(name):
    return name.replace("|", "/")
