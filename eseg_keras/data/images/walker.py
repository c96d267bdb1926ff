"""Finding the images of a folder: one rule for every command."""

import logging
import os
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".dib", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pcx"}
    | {".pgm", ".png", ".pnm", ".ppm", ".sgi", ".tga", ".tif", ".tiff", ".webp"}
)
"""Suffixes, in lower case, of the files that are read as images: one still picture each."""

# A folder may hold anything: only so many of the suffixes inside are named.
_MOST_SUFFIXES = 8


def find_images(
    folder: str | Path,
    *,
    kind: str = "image",
    suffixes: frozenset[str] = IMAGE_SUFFIXES,
    recursive: bool = True,
    exclude: str | Path | None = None,
    log_skipped: bool = True,
) -> list[Path]:
    """List the images of a folder.

    Hidden files and folders are not looked at. Links are followed; a folder that is reached twice
    is read once, so that circles of links end. All other files are skipped, and the log counts them
    by suffix.

    Args:
        folder: The folder.
        kind: What is looked for, for messages. Defaults to `"image"`.
        suffixes: Suffixes of the files to find, in lower case. Defaults to those of images.
        recursive: Whether subfolders are searched as well. Defaults to `True`.
        exclude: A folder inside that is not searched, such as that of the outputs.
        log_skipped: Whether to log what is skipped. Defaults to `True`.

    Returns:
        The files, sorted.

    Raises:
        ValueError: If there is no file of these suffixes. The message says what there is instead,
            and does not name the folder.
        FileNotFoundError: If there is no such folder.

    Example:

    >>> import pathlib, tempfile
    >>> from eseg_keras.data.images.walker import find_images
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("b.tif", "a.JPG", ".hidden.png", "notes.txt"):
    ...     (folder / name).touch()
    >>> [path.name for path in find_images(folder)]
    ['a.JPG', 'b.tif']
    """
    folder = Path(folder)
    excluded = None if exclude is None else os.path.realpath(exclude)
    seen = set()
    found, skipped = [], Counter()
    # Folders before links to folders: one that is reached both ways keeps its own name.
    folders, links = deque([folder]), deque()
    while folders or links:
        current = folders.popleft() if folders else links.popleft()
        place = os.path.realpath(current)
        if place in seen:
            skipped["link to a folder read already"] += 1
            continue
        seen.add(place)
        for path in sorted(current.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir():
                if recursive and os.path.realpath(path) != excluded:
                    (links if path.is_symlink() else folders).append(path)
            elif not path.exists():
                skipped["link to nothing"] += 1
            elif path.suffix.lower() in suffixes:
                found.append(path)
            else:
                skipped[path.suffix.lower() or path.name] += 1
    if not found:
        raise ValueError(_nothing_found(kind, suffixes, skipped))
    if skipped and log_skipped:
        counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(skipped.items()))
        log.warning("%s: skipped %s", folder, counts)
    return sorted(found)


def _nothing_found(kind: str, suffixes: Iterable[str], others: Iterable[str]) -> str:
    """Say that nothing of a kind was found, and what there is instead."""
    message = f"no {kind} inside ({', '.join(sorted(suffixes))})"
    others = sorted(others)
    if others:
        shown = ", ".join(others[:_MOST_SUFFIXES]) + ", ..." * (len(others) > _MOST_SUFFIXES)
        message += f"; it holds {shown}: convert images to PNG or JPEG, masks to PNG"
    return message
