"""The image and mask files of a data set, in an archive or unpacked."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from eseg_keras.data.datasets.metadata import Description, Layout
from eseg_keras.data.images.walker import find_images

# Both types have `/`, `iterdir`, `is_dir` and `read_bytes`: archives are read without unpacking.
Folder = Path | zipfile.Path

_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


class FilePair(NamedTuple):
    """An example: name, image file and mask file."""

    name: str
    image: Folder
    mask: Folder


@dataclass(frozen=True)
class FoundFiles:
    """The files of a data set.

    Attributes:
        description: The data set.
        layout: Its layout.
        root: The folder that contains all splits.
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
