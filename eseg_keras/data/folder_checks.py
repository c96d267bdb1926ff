"""Pairing and checking the files of folders of images and masks, before training."""

import contextlib
import difflib
import logging
import os
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eseg_keras.data.images.image_reader import ImageFileError
from eseg_keras.data.images.mask_reader import count_ids, palette_of
from eseg_keras.data.images.walker import find_images
from eseg_keras.data.label_statistics import Counted, gather
from eseg_keras.progress import Progress

log = logging.getLogger(__name__)

_NAMES_SHOWN = 20
_NAMES_COMPARED = 1000
_PROGRESS_FROM = 200  # number of images above which a progress bar is shown


class FolderError(ValueError):
    """Raised for a folder of images and masks that cannot be used.

    Attributes:
        problems: {problem and remedy: names of all files with it}; the message contains the first
            20 names for each problem.
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
    """Pixels of each label in all readable masks, int64 [256], and sizes of readable images.

    `palettes` maps each mask file to its palette, or to None if it has no palette. `has_1_and_255`
    tells whether any single mask contains both labels.
    """

    label_counts: np.ndarray
    image_sizes: frozenset[tuple[int, int]]
    palettes: Mapping[Path, bytes | None]
    has_1_and_255: bool


def pair_files(
    images: str | Path,
    masks: str | Path,
    mask_suffix: str = "",
    image_suffix: str = "",
    kind: str = "image",
    first_frame: bool = False,
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Pair `images/A/NAME{image_suffix}.jpg` with `masks/A/NAME{mask_suffix}.png`.

    `.jpg` and `.png` may be any file extensions of images. If `mask_suffix` and `image_suffix` are
    empty and some names do not pair, the common prefix and suffix of all image names, and those of
    all mask names, are removed if more names pair then. One folder may be inside the other. Both
    may be the same folder if the names of masks end in `mask_suffix`, or the names of images in
    `image_suffix`. Raise FolderError, which lists missing and empty folders, duplicates, and
    unpaired files with the most similar name. Messages call an image a `kind`, such as
    "prediction".
    """
    images, masks = Path(images), Path(masks)
    if os.path.realpath(images) == os.path.realpath(masks):
        masks = images
    where = str(images) if images == masks else f"{images} and {masks}"
    problems = {}
    found = {}
    for folder, other in {images: masks, masks: images}.items():
        try:
            found[folder] = find_images(folder, first_frame=first_frame, exclude=other)
        except FileNotFoundError:
            problems.setdefault("there is no folder", []).append(str(folder))
        except ValueError as error:
            problems.setdefault(str(error), []).append(str(folder))
    if problems:
        raise FolderError(where, problems)
    image_files, mask_files = found[images], found[masks]
    if images == masks and not (mask_suffix or image_suffix):
        if kind == "image":  # Predictions may be compared with themselves.
            problem = "contains both images and masks: set mask_suffix, or use two folders"
            raise FolderError(where, {problem: [str(images)]})
    elif images == masks:
        keyed = _by_key(image_files, images, mask_suffix or image_suffix)
        named = {path for paths in keyed.values() for path in paths}
        rest = set(image_files) - named
        image_files, mask_files = map(sorted, (rest, named) if mask_suffix else (named, rest))
    if not (image_files and mask_files):
        missing = f"{kind}s" if mask_files else "masks"
        problem = f"no {missing} inside; masks are called NAME{mask_suffix}.png"
        raise FolderError(where, {problem: [str(images)]})
    images_by_key = _by_key(image_files, images, image_suffix)
    masks_by_key = _by_key(mask_files, masks, mask_suffix)
    if set(images_by_key) != set(masks_by_key) and not (image_suffix or mask_suffix):
        cores = _cores(images_by_key), _cores(masks_by_key)
        same = len(images_by_key.keys() & masks_by_key.keys())
        if None not in cores and len(cores[0].keys() & cores[1].keys()) > same:
            images_by_key, masks_by_key = cores
        if set(images_by_key) == set(masks_by_key):
            (image,), (mask,) = (next(iter(sorted(core.items())))[1] for core in cores)
            log.warning("%s: pairs are like %s and %s", where, image.name, mask.name)
    named = f"NAME{mask_suffix}.png" if mask_suffix else "the same name"
    if not (image_suffix or mask_suffix):
        named += ", or names that end in mask_suffix and image_suffix,"
    article = "an" if kind == "image" else "a"
    problems = {
        f"two {kind}s with the same name": _doubles(images_by_key),
        "two masks with the same name": _doubles(masks_by_key),
        f"{kind} without a mask ({named} in {masks})": _missing(images_by_key, masks_by_key, masks),
        f"mask without {article} {kind} (in {images})": _missing(
            masks_by_key, images_by_key, images
        ),
    }
    problems = {problem: names for problem, names in problems.items() if names}
    if problems:
        raise FolderError(where, problems)
    keys = sorted(images_by_key)
    return (
        tuple(images_by_key[key][0] for key in keys),
        tuple(masks_by_key[key][0] for key in keys),
    )


def check_files(examples, verbose: bool, skip_bad_examples: bool) -> FolderSummary:
    """Read all files of `FolderExamples`; raise one FolderError with all problems.

    With `skip_bad_examples`, log the error instead.
    """

    palettes, known = {}, {}

    def count(index):
        size, labels, problems = None, None, []
        mask_file = examples.masks[index]
        palette = palette_of(mask_file)
        palettes[mask_file] = known.setdefault(palette, palette)
        try:
            size = examples.read_image(index).shape[:2]
        except ImageFileError as error:
            problems += [(problem, error.path) for problem in error.problems]
        try:
            mask = examples.read_mask(mask_file)
        except ImageFileError as error:
            problems += [(problem, error.path) for problem in error.problems]
        else:
            labels = np.bincount(mask.ravel(), minlength=256)
            if size not in (None, mask.shape):
                problem = "image and mask differ in size (height × width)"
                if size == mask.shape[::-1]:
                    problem += (
                        "; the image may be rotated by 90 degrees: its EXIF rotation is applied "
                        "before training"
                    )
                shapes = f"{size[0]}×{size[1]} / mask {mask.shape[0]}×{mask.shape[1]}"
                problems.append((problem, f"{examples.images[index]} {shapes}"))
        return Counted(labels, size, problems)

    total = len(examples)
    shown = verbose and total > _PROGRESS_FROM
    with Progress("Checking", total) if shown else contextlib.nullcontext() as progress:
        found = gather(count, total, progress.track if shown else iter)
    problems = dict(found.problems)
    if not examples.read_mask.reads_colors:
        problems |= differing_palettes(palettes)
    if problems:
        error = FolderError(f"Some of the {total} images and their masks", problems)
        if not skip_bad_examples:
            raise error
        log.warning("%s", error)
    counts = found.label_counts
    has_both = bool((counts[:, [1, 255]] > 0).all(axis=1).any())
    return FolderSummary(counts.sum(axis=0), frozenset(found.image_sizes), palettes, has_both)


def differing_palettes(palettes: Mapping[Path, bytes | None]) -> dict[str, tuple[str, ...]]:
    """Return {problem: files} if the same index has different colours in different masks, else {}.

    The masks are visited in the order of their names. The files are the masks in which an index has
    another colour than in the first mask with this index. In a grey mask (palette None), the colour
    of a value is the grey of this value.
    """
    if len(set(palettes.values())) < 2:
        return {}
    # Compare only palette entries that pixels use.
    seen, files, problem = {}, [], ""
    for mask, palette in sorted(palettes.items()):
        with contextlib.suppress(ImageFileError):  # `check_files` has reported unreadable masks.
            for index in count_ids(mask):
                color = (index,) * 3
                if palette is not None:
                    color = tuple((palette + bytes(768))[3 * index :][:3])
                first, at = seen.setdefault(index, (color, mask))
                if first != color:
                    files.append(str(mask))
                    problem = problem or (
                        f"palettes differ: index {index} is {first} in {at} and {color} in {mask}. "
                        "Palette indices and grey values are read as class ids: save all masks "
                        "with the same palette, or all in grey. If each colour is a class, pass "
                        "mask_colors={(red, green, blue): id, ...}"
                    )
    return {problem: tuple(dict.fromkeys(files))} if problem else {}


def _by_key(files, folder, suffix):
    """Return {path relative to `folder`, without suffixes: files}."""
    # Normalize: macOS stores letters and their accents separately.
    suffix = unicodedata.normalize("NFC", suffix)
    keyed = defaultdict(list)
    for path in files:
        key = path.relative_to(folder).with_suffix("").as_posix()
        key = unicodedata.normalize("NFC", key)
        if key.endswith(suffix):
            keyed[key.removesuffix(suffix)].append(path)
    return keyed


def _cores(keyed):
    """Return {PARENT/NAME without the common prefix and suffix of all names: files}.

    Return None if there are fewer than two names, or if two names become equal.
    """
    names = {key: key.rpartition("/")[::2] for key in keyed}
    stems = [stem for _, stem in names.values()]
    if len(stems) < 2:
        return None
    start = _whole_words(stems, len(os.path.commonprefix(stems)))
    backwards = [stem[start:][::-1] for stem in stems]
    end = _whole_words(backwards, len(os.path.commonprefix(backwards)))
    cores = defaultdict(list)
    for key, (parent, stem) in names.items():
        cores[f"{parent}/{stem[start : len(stem) - end]}"] += keyed[key]
    is_unique = all(len(paths) == 1 for paths in cores.values())
    return cores if is_unique and len(cores) == len(keyed) else None


def _whole_words(names, length):
    """Return the largest prefix length <= `length` that splits no number or word of the names."""
    kinds = (str.isdigit, str.islower, str.isupper)

    def cuts(name):
        return any(kind(name[length - 1]) and kind(name[length]) for kind in kinds)

    while length and any(cuts(name) for name in names if length < len(name)):
        length -= 1
    return length


def _doubles(keyed):
    return [" and ".join(map(str, paths)) for paths in keyed.values() if len(paths) > 1]


def _missing(keyed, others, folder):
    """Return the unpaired files; the first 20 with the most similar unpaired name in `folder`."""
    alone = [key for key in keyed if key not in others]
    free = {key.casefold(): paths[0] for key, paths in others.items() if key not in keyed}
    # Prefer the same name in another subfolder.
    by_stem = {key.rpartition("/")[2]: key for key in free}
    named = []
    for key in alone:
        near = []
        if len(named) < _NAMES_SHOWN:
            name = key.casefold()
            moved = by_stem.get(name.rpartition("/")[2])
            some = list(free)[:_NAMES_COMPARED]
            near = [moved] if moved else difflib.get_close_matches(name, some, n=1, cutoff=0.4)
        hint = f" (nearest: {free[near[0]].relative_to(folder)})" if near else ""
        named.append(f"{keyed[key][0]}{hint}")
    return named
