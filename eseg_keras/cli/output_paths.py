"""Paths to write to, looked at before the work whose result they are to hold."""

from pathlib import Path


def check_parent(path: Path) -> None:
    """Refuse a path inside of something that is no folder.

    Args:
        path: What is to be written; folders on the way may be missing.

    Raises:
        ValueError: If what there is on the way is a file.
    """
    there = next(parent for parent in path.resolve().parents if parent.exists())
    if not there.is_dir():
        raise ValueError(f"{path} cannot be written: {there} is no folder.")
