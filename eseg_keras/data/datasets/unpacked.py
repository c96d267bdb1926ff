"""Finding the unpacked folders of a data set, anywhere in a data directory."""

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from eseg_keras.data.datasets.found_files import FoundFiles, has_files
from eseg_keras.data.datasets.metadata import Description, Layout
from eseg_keras.progress import Progress

# Depth of the deepest folder that is searched for a data set.
_DEPTH = 6


def find_unpacked(
    data_dir: Path, description: Description, split: str
) -> tuple[FoundFiles | None, str | None]:
    """Find the files of a split in a data directory.

    Return (files, None), (None, message) if the split is incomplete, or (None, None) if no folder
    of the data set was found. The folders are searched level by level. The folder that contains the
    data set may have any name, and Cityscapes' leftImg8bit and gtFine may be in different folders.
    Hidden folders are ignored, and each linked folder is searched once. Raise ValueError if
    several folders contain the split where it is first found.
    """
    roots = [defaultdict(list) for _ in description.layouts]
    with Progress(f"Looking for {description.title} in {data_dir}") as progress:
        levels = _levels(data_dir, lambda count: progress.update(count, details=f"{count} folders"))
        files = _search(data_dir, description, split, levels, roots)
    if files is not None:
        return files, None
    return None, _problem(data_dir, description, split, roots)


def _search(data_dir, description, split, levels, roots):
    """Search for a split; add folders to `roots`; return the files or None."""
    for level in levels:
        for layout, found in zip(description.layouts, roots, strict=True):
            _add_roots(found, layout, level)
            pairs = _pairs(found, layout, split)
            if len(pairs) > 1:
                several = ", ".join(str(masks / layout.splits[split].labels) for _, masks in pairs)
                raise ValueError(
                    f"{data_dir} has several folders of {description.title}: {several}. Pass a "
                    "folder that contains only one of them as data_dir."
                )
            if pairs:
                (image_root, mask_root) = pairs[0]
                folders = {
                    name: (image_root / part.images, mask_root / part.labels)
                    for name, part in layout.splits.items()
                    if image_root in found[name, "images"] and mask_root in found[name, "labels"]
                }
                return FoundFiles(description, layout, mask_root, folders)
    return None


def _levels(base: Path, on_count: Callable[[int], None]) -> Iterator[list[Path]]:
    """Yield the folders of each depth, sorted, with links after real folders.

    Each folder is yielded only once. `on_count` is called with the number of folders searched so
    far.
    """
    # Use an absolute path, because a path such as "." has no folder name. Do not resolve links, so
    # that messages contain the paths that the user knows.
    level, seen = [Path(os.path.abspath(base))], set()
    for _ in range(_DEPTH + 1):
        level = [folder for folder in level if _is_new(folder, seen)]
        yield level
        children = []
        for count, folder in enumerate(level, len(seen) - len(level) + 1):
            children += _folders_inside(folder)
            on_count(count)
        level = children
        level.sort(key=lambda folder: (folder.is_symlink(), folder))


def _is_new(folder, seen):
    place = os.path.realpath(folder)
    is_new = place not in seen
    seen.add(place)
    return is_new


def _folders_inside(folder):
    with contextlib.suppress(OSError):  # The folder does not exist or cannot be read.
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith((".", "__MACOSX")) and entry.is_dir():
                    yield Path(entry.path)


def _add_roots(found: Mapping, layout: Layout, level: Sequence[Path]) -> None:
    """Add the folders of a level that contain images or masks to `found`.

    `found` is {(split, kind): folders}.
    """
    for root in level:
        if fnmatchcase(root.name, layout.root):
            for name, split in layout.splits.items():
                if (root / split.labels).is_dir():
                    found[name, "labels"].append(root)
                if has_files(root / split.images, layout):
                    found[name, "images"].append(root)


def _pairs(found: Mapping, layout: Layout, split: str) -> list[tuple[Path, Path]]:
    """Return the pairs of folders that contain images and masks of a split."""
    images, masks = (found.get((split, kind), []) for kind in ("images", "labels"))
    pairs = [(root, root) for root in images if root in masks]
    if not pairs and layout.has_two_roots:
        pairs = [(image_root, mask_root) for image_root in images for mask_root in masks]
    return pairs


def _problem(data_dir, description, split, all_roots):
    """Return a message with the missing folders of a split; None if the data set was not found."""
    for layout, found in zip(description.layouts, all_roots, strict=True):
        others = [name for name in layout.splits if _pairs(found, layout, name)]
        part = layout.splits[split]
        parts = {"images": part.images, "labels": part.labels}
        there = [str(found[split, kind][0] / parts[kind]) for kind in parts if found[split, kind]]
        if others or there:
            missing = [folder for kind, folder in parts.items() if not found[split, kind]]
            problem = f"{data_dir} has no split '{split}' of {description.title}: found "
            problem += f"{' and '.join(there)}, but " if there else ""
            problem += (
                f"no folder {' and no folder '.join(missing)}" if missing else "in different places"
            )
            problem += f". Complete splits: {', '.join(others)}" if others else ""
            return f"{problem}. Unpack {' and '.join(description.archives)}."
    return None
