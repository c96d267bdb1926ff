"""Checking a folder of photos and masks before training, all files at once."""

import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path

import numpy as np

from eseg_keras.data.images.image_reader import (
    MAX_PIXELS,
    ImageFileError,
    read_image,
)
from eseg_keras.data.images.walker import find_images
from eseg_keras.progress import Progress

log = logging.getLogger(__name__)

_NAMES_SHOWN = 20
_PROGRESS_FROM = 200  # files; fewer are checked in a moment


class FolderError(ValueError):
    """What is wrong with a folder of photos and masks.

    Attributes:
        problems: {what is wrong and what to do about it: names of all the files}, the message holds
            the first 20 names of each.
    """

    def __init__(self, where: str, problems: Mapping[str, Sequence[str]]):
        lines = [f"{where} cannot be used:"]
        for problem, names in problems.items():
            shown = ", ".join(names[:_NAMES_SHOWN])
            if len(names) > _NAMES_SHOWN:
                shown += f", and {len(names) - _NAMES_SHOWN} more"
            files = "1 file" if len(names) == 1 else f"{len(names)} files"
            lines.append(f"- {files}: {problem}\n    {shown}")
        super().__init__("\n".join(lines))
        self.problems = {problem: tuple(names) for problem, names in problems.items()}


@dataclass(frozen=True)
class FolderSummary:
    """What the check of a folder counted.

    Attributes:
        label_counts: Pixels of each label, int64 [256].
        image_sizes: The (height, width) that occur among the photos.
    """

    label_counts: np.ndarray
    image_sizes: frozenset[tuple[int, int]]


def pair_files(
    images: str | Path, masks: str | Path, mask_suffix: str = ""
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Pair photos and masks by their names.

    The mask of `images/A/NAME.jpg` is `masks/A/NAME{mask_suffix}.png`, whatever the two suffixes.
    Hidden files and files that are no images are left alone.

    Args:
        images: Folder of the photos, with or without folders inside.
        masks: Folder of the masks, with the same folders inside. It may be the same folder if
            `mask_suffix` tells the masks from the photos.
        mask_suffix: What the name of a mask adds to that of its photo, such as `"_labelIds"`.

    Returns:
        The photos and their masks, in the order of their names.

    Raises:
        FolderError: If a folder is missing or empty, or a file has no partner or two.
    """
    images, masks = Path(images), Path(masks)
    problems = {}
    found = {}
    for folder in dict.fromkeys((images, masks)):
        try:
            found[folder] = find_images(folder)
        except OSError:
            problems.setdefault("there is no folder", []).append(str(folder))
        except ValueError as error:
            problems.setdefault(str(error), []).append(str(folder))
    if problems:
        raise FolderError(_where(images, masks), problems)
    photo_files, mask_files = found[images], found[masks]
    if images == masks and mask_suffix:
        ends = [path for path in photo_files if path.stem.endswith(mask_suffix)]
        photo_files, mask_files = [path for path in photo_files if path not in set(ends)], ends
    if not (photo_files and mask_files):
        missing = "images" if mask_files else "masks"
        problems[f"no {missing} inside; masks are called NAME{mask_suffix}.png"] = [str(images)]
        raise FolderError(_where(images, masks), problems)
    photos_by_key = _by_key(photo_files, images, "")
    masks_by_key = _by_key(mask_files, masks, mask_suffix)
    named = f"NAME{mask_suffix}.png" if mask_suffix else "the same name"
    for problem, names in {
        "two photos of one name": _doubles(photos_by_key),
        "two masks of one name": _doubles(masks_by_key),
        f"photo without a mask ({named} in {masks})": [
            str(paths[0]) for key, paths in photos_by_key.items() if key not in masks_by_key
        ],
        f"mask without a photo (in {images})": [
            str(paths[0]) for key, paths in masks_by_key.items() if key not in photos_by_key
        ],
    }.items():
        if names:
            problems[problem] = names
    if problems:
        raise FolderError(_where(images, masks), problems)
    keys = sorted(photos_by_key)
    return (
        tuple(photos_by_key[key][0] for key in keys),
        tuple(masks_by_key[key][0] for key in keys),
    )


def check_files(
    photos: Sequence[Path],
    masks: Sequence[Path],
    read_mask: Callable[[Path], np.ndarray],
    verbose: bool = True,
    skip_bad_examples: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> FolderSummary:
    """Read every photo and mask once, and report all that is wrong with them.

    Args:
        photos: Image files.
        masks: The mask of each.
        read_mask: Function of a path that returns uint8 [H, W], or raises `ImageFileError`.
        verbose: Whether to show a progress bar if there are more than 200 photos.
        skip_bad_examples: Whether to log what is wrong instead of raising it.
        max_pixels: Photos with more pixels cannot be used.

    Returns:
        The sizes of the readable photos and the pixels of each label in the usable masks.

    Raises:
        FolderError: If a file cannot be used, or a photo and its mask differ in size.
    """
    counts = np.zeros(256, np.int64)
    sizes = set()
    problems = defaultdict(list)

    def check(pair):
        photo, mask = pair
        found, size, labels = [], None, None
        try:
            size = read_image(photo, max_pixels=max_pixels).shape[:2]
        except ImageFileError as error:
            found += [(problem, error.path) for problem in error.problems]
        try:
            labels = read_mask(mask)
        except ImageFileError as error:
            found += [(problem, error.path) for problem in error.problems]
        if size is not None and labels is not None and size != labels.shape:
            problem = "photo and mask differ in size (height × width)"
            if size == labels.shape[::-1]:
                problem += (
                    "; the photo may lie on its side: its EXIF rotation is applied before training"
                )
            detail = f"{photo} {size[0]}×{size[1]} / mask {labels.shape[0]}×{labels.shape[1]}"
            found.append((problem, detail))
        pixels = None if labels is None else np.bincount(labels.ravel(), minlength=256)
        return found, size, pixels

    shown = verbose and len(photos) > _PROGRESS_FROM
    progress = Progress("Checking", total=len(photos)) if shown else contextlib.nullcontext()
    with ThreadPoolExecutor(cpu_count()) as pool, progress:
        results = pool.map(check, zip(photos, masks, strict=True))
        for found, size, pixels in progress.track(results) if shown else results:
            for problem, name in found:
                problems[problem].append(str(name))
            if size is not None:
                sizes.add(size)
            if pixels is not None:
                counts += pixels
    if problems:
        error = FolderError(f"Some of the {len(photos)} photos and their masks", problems)
        if not skip_bad_examples:
            raise error
        log.warning("%s", error)
    return FolderSummary(label_counts=counts, image_sizes=frozenset(sizes))


def _by_key(files, folder, suffix):
    """{name relative to the folder, without suffixes: files}."""
    keyed = defaultdict(list)
    for path in files:
        key = path.relative_to(folder).with_suffix("")
        if not key.name.endswith(suffix):
            continue
        keyed[key.with_name(key.name.removesuffix(suffix)).as_posix()].append(path)
    return keyed


def _doubles(keyed):
    return [" and ".join(map(str, paths)) for paths in keyed.values() if len(paths) > 1]


def _where(images, masks):
    return str(images) if images == masks else f"{images} and {masks}"
