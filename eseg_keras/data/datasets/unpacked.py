"""Finding the unpacked folders of a data set, anywhere in a data directory."""

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from eseg_keras.data.datasets.found_files import FoundFiles, has_files
from eseg_keras.data.datasets.metadata import Description, Layout
from eseg_keras.progress import Progress

# Depth of the deepest folder that may hold a data set.
_DEPTH = 6


@dataclass(frozen=True)
class Unpacked:
    """What was found of a split: its files or, if only parts or other splits, what is missing.

    `problem` is a sentence. Both are `None` if no folder of the data set was found.
    """

    files: FoundFiles | None = None
    problem: str | None = None


def find_unpacked(data_dir: Path, description: Description, split: str) -> Unpacked:
    """Look for the folders of a split in a data directory, the outer ones first.

    Folders that hold the data set may have any name, and Cityscapes' leftImg8bit and gtFine may be
    in different ones. Hidden folders are ignored, and links are followed once. Raises ValueError if
    two folders of the same depth hold the split.
    """
    roots = [defaultdict(list) for _ in description.layouts]
    with Progress(f"Looking for {description.title} in {data_dir}") as progress:
        levels = _levels(data_dir, lambda count: progress.update(count, details=f"{count} folders"))
        files = _search(data_dir, description, split, levels, roots)
    if files is not None:
        return Unpacked(files)
    return Unpacked(problem=_problem(data_dir, description, split, roots))


def _search(data_dir, description, split, levels, roots):
    """The files of a split in the outermost folder that has them, or None; adds to the roots."""
    for level in levels:
        for layout, found in zip(description.layouts, roots, strict=True):
            _add_roots(found, layout, level)
            pairs = _pairs(found, layout, split)
            if len(pairs) > 1:
                several = ", ".join(str(masks / layout.splits[split].labels) for _, masks in pairs)
                raise ValueError(
                    f"{data_dir} has several folders of {description.title}: {several}. Give the "
                    "folder that holds one of them as data_dir."
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
    """The folders of each depth, sorted, links after folders; each is listed once.

    `on_count` is called with the number of folders so far, while they are searched.
    """
    # Absolute, so that the folder has a name. Links stay, to keep the user's names in messages.
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
    with contextlib.suppress(OSError):  # There is no such folder, or it cannot be read.
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith((".", "__MACOSX")) and entry.is_dir():
                    yield Path(entry.path)


def _add_roots(found: Mapping, layout: Layout, level: Sequence[Path]) -> None:
    """Add the folders of a level that hold images or masks: {(split, kind): folders}."""
    for root in level:
        if fnmatchcase(root.name, layout.root):
            for name, split in layout.splits.items():
                if (root / split.labels).is_dir():
                    found[name, "labels"].append(root)
                if has_files(root / split.images, layout):
                    found[name, "images"].append(root)


def _pairs(found: Mapping, layout: Layout, split: str) -> list[tuple[Path, Path]]:
    """The folders that hold images and masks of a split."""
    images, masks = (found.get((split, kind), []) for kind in ("images", "labels"))
    pairs = [(root, root) for root in images if root in masks]
    if not pairs and layout.has_two_roots:
        pairs = [(image_root, mask_root) for image_root in images for mask_root in masks]
    return pairs


def _problem(data_dir, description, split, all_roots):
    """Say which folders of a split are missing; None if nothing of the data set was found."""
    for layout, found in zip(description.layouts, all_roots, strict=True):
        others = [name for name in layout.splits if _pairs(found, layout, name)]
        part = layout.splits[split]
        parts = {"images": part.images, "labels": part.labels}
        there = [str(found[split, kind][0] / parts[kind]) for kind in parts if found[split, kind]]
        if others or there:
            missing = [folder for kind, folder in parts.items() if not found[split, kind]]
            problem = f"{data_dir} has no '{split}' of {description.title}: there is "
            problem += f"{' and '.join(there)}, but " if there else ""
            problem += (
                f"no folder {' and no folder '.join(missing)}" if missing else "no common one"
            )
            problem += f". Splits that are there: {', '.join(others)}" if others else ""
            return f"{problem}. Unpack {' and '.join(description.archives)}."
    return None
