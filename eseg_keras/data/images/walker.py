"""Finding the images of a folder."""

import logging
import os
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".dib", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pcx"}
    | {".pgm", ".png", ".pnm", ".ppm", ".sgi", ".tga", ".tif", ".tiff", ".webp"}
)
"""Suffixes, in lower case, of the files that are read as images."""

FRAMES_SUFFIXES = frozenset({".apng", ".gif"})
"""Suffixes of files that usually hold several frames, of which the first can be read."""

_MOST_SUFFIXES = 8  # named in a message


def in_words(skipped: Mapping[str, int]) -> str:
    """Return the number of skipped files of each suffix as a text."""
    return ", ".join(f"{count} {suffix}" for suffix, count in sorted(skipped.items()))


def find_images(
    folder: str | Path,
    *,
    kind: str = "image",
    suffixes: frozenset[str] = IMAGE_SUFFIXES,
    first_frame: bool = False,
    recursive: bool = True,
    exclude: str | Path | None = None,
    log_skipped: bool = True,
) -> list[Path]:
    """List the images of a folder, sorted.

    Hidden files and folders are ignored, and so is `exclude`, a subfolder such as that of the
    outputs. Links are followed; a folder that is reached twice is read once, so that cycles of
    links end. Other files are skipped and counted by suffix in the log; `first_frame` adds the
    suffixes of animations. Raises FileNotFoundError if there is no such folder, and ValueError,
    without the folder's name, if there is no `kind` in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}. Give one that holds images.")
    suffixes = suffixes | FRAMES_SUFFIXES if first_frame else suffixes
    excluded = None if exclude is None else os.path.realpath(exclude)
    seen = set()
    found, skipped = [], Counter()
    # Folders come before links to folders, so that one reached both ways is listed by its own name.
    folders, links = deque([folder]), deque()
    while folders or links:
        current = folders.popleft() if folders else links.popleft()
        place = os.path.realpath(current)
        if place in seen:
            skipped["link to a folder that is read already"] += 1
            continue
        seen.add(place)
        for path in sorted(current.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir():
                if recursive and os.path.realpath(path) != excluded:
                    (links if path.is_symlink() else folders).append(path)
            elif not path.exists():
                skipped["broken link"] += 1
            elif path.suffix.lower() in suffixes:
                found.append(path)
            else:
                skipped[path.suffix.lower() or path.name] += 1
    if not found:
        message = f"no {kind} inside ({', '.join(sorted(suffixes))})"
        if others := sorted(skipped):
            shown = ", ".join(others[:_MOST_SUFFIXES]) + ", ..." * (len(others) > _MOST_SUFFIXES)
            message += f"; it holds {shown}: convert images to PNG or JPEG, masks to PNG"
        if named := ", ".join(sorted(FRAMES_SUFFIXES & skipped.keys())):
            message += f", or read the first frame of {named} with first_frame=True (--first_frame)"
        raise ValueError(message)
    if skipped and log_skipped:
        log.warning(
            "%s: skipped %s", folder, in_words(skipped), extra={"skipped": (folder, skipped)}
        )
    return sorted(found)
