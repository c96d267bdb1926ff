"""Finding the images in a folder."""

import logging
import os
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".bw", ".dib", ".icb", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe"}
    | {".jpeg", ".jpf", ".jpg", ".jpx", ".mpo", ".pbm", ".pcx", ".pfm", ".pgm", ".png", ".pnm"}
    | {".ppm", ".rgb", ".rgba", ".sgi", ".tga", ".tif", ".tiff", ".vda", ".vst", ".webp"}
)
"""Suffixes, in lower case, of files that are read as images."""

_FRAMES_SUFFIXES = frozenset({".apng", ".gif"})
"""Suffixes of files that usually contain several frames; with `first_frame`, the first is read."""

_MOST_SUFFIXES = 8  # largest number of suffixes in a message


def in_words(skipped: Mapping[str, int]) -> str:
    """Format the numbers of skipped files, such as "3 .txt, 1 .zip"."""
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
    """List the images in a folder and, if `recursive`, its subfolders, sorted by path.

    Hidden files and folders are ignored, and so is the subfolder `exclude`, such as the output
    folder. Links are followed, but each folder is searched only once, so that cyclic links do no
    harm. Other files are skipped; the log gives their number by suffix. `first_frame` adds the
    suffixes of animations. Raise FileNotFoundError if the folder does not exist. Raise ValueError
    if no file is found; the message calls an image a `kind`, and does not contain the folder's
    name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}. Pass a folder that contains images.")
    suffixes = suffixes | _FRAMES_SUFFIXES if first_frame else suffixes
    excluded = None if exclude is None else os.path.realpath(exclude)
    seen = set()
    found, skipped = [], Counter()
    # Search real folders before links, so that files are listed under the real folder's name.
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
            elif not path.is_file():  # Reading a pipe or a device would never end.
                skipped["special file" if path.exists() else "broken link"] += 1
            elif path.suffix.lower() in suffixes:
                found.append(path)
            else:
                skipped[path.suffix.lower() or path.name] += 1
    if not found:
        message = f"no {kind} inside ({', '.join(sorted(suffixes))})"
        if others := sorted(skipped):
            shown = ", ".join(others[:_MOST_SUFFIXES]) + ", ..." * (len(others) > _MOST_SUFFIXES)
            message += f"; it contains {shown}: convert images to PNG or JPEG, masks to PNG"
        if named := ", ".join(sorted(_FRAMES_SUFFIXES & skipped.keys())):
            message += f", or read the first frame of {named} with first_frame=True (--first_frame)"
        raise ValueError(message)
    if skipped and log_skipped:
        log.warning(
            "%s: skipped %s", folder, in_words(skipped), extra={"skipped": (folder, skipped)}
        )
    return sorted(found)
