"""Choose the paths and the splits of the images and masks in the output."""

import posixpath
import re
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from eseg_keras.conversion.annotations import Annotations
from eseg_keras.data.label_statistics import stratified_split

IMAGES, MASKS = "images", "annotations"
STAGING = ".unsplit"
"""Subfolder of `IMAGES` and `MASKS` for the files before they are split."""


def output_paths(found: Annotations) -> tuple[list[str], list[Path]]:
    """Return the split and the output path of each image.

    Folders that all images of a split have in common are removed from the paths.
    """
    splits = [example.split or "" for example in found.examples]
    if any(splits):
        splits = [split or "train" for split in splits]
    parents = defaultdict(set)
    for split, example in zip(splits, found.examples, strict=True):
        parents[split].add(posixpath.dirname(example.name))
    common = {split: posixpath.commonpath(folders) for split, folders in parents.items()}
    paths, seen = [], {}
    for split, example in zip(splits, found.examples, strict=True):
        path = Path(PurePosixPath(example.name).relative_to(common[split]))
        other = seen.setdefault((split, path.with_suffix("")), example)
        if other is not example:
            problem = "two annotated images have the same name: remove or rename one"
            found.problems[problem].append(
                f"{other.name} of {other.file} and {example.name} of {example.file}"
            )
        paths.append(path)
    return splits, paths


def divide(
    splits: Sequence[str],
    paths: Sequence[Path],
    label_counts: np.ndarray,
    val_share: float,
    group: str | None,
    seed: int,
) -> list[str]:
    """Divide images into `train` and `val`; return the split of every image.

    Images of `train` and images without a split are divided.
    """
    free = [index for index, split in enumerate(splits) if split in ("", "train")]
    members = defaultdict(list)
    for index in free:
        name = paths[index].with_suffix("").as_posix()
        key = name
        if group is not None:
            match = re.search(group, name)
            key = match and match[1 if match.re.groups else 0]
            if key is None:
                raise ValueError(
                    f"`group` must match every image. {group!r} does not match {name!r}."
                )
        members[key].append(index)
    if len(members) < 2:
        raise ValueError(
            f"A split needs at least two {'images' if group is None else 'groups of images'}. "
            f"Received: {len(members)}."
        )
    groups = list(members.values())
    counts = np.array([label_counts[indices].sum(axis=0) for indices in groups])
    parts = list(splits)
    for split, chosen in zip(
        ("train", "val"), stratified_split(counts, val_share, seed), strict=True
    ):
        for index in chosen:
            for member in groups[index]:
                parts[member] = split
    return parts


def move(folder: Path, splits: Sequence[str], parts: Sequence[str], paths: Sequence[Path]) -> None:
    """Move the files from the staging folders to the folders of their splits."""
    for kind in (IMAGES, MASKS):
        for split, part, path in zip(splits, parts, paths, strict=True):
            path = path.with_suffix(".png") if kind == MASKS else path
            target = folder / kind / part / path
            target.parent.mkdir(parents=True, exist_ok=True)
            (folder / kind / STAGING / split / path).rename(target)
        shutil.rmtree(folder / kind / STAGING)
