"""Annotations: images with labelled regions, and the classes, as read from any format."""

import contextlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from eseg_keras.data.images.walker import find_images

Size = tuple[int, int]
Color = tuple[int, int, int]

# A region: (name of its class, or `None` for pixels to ignore; its pixels, bool [H, W]).
Region = tuple[str | None, np.ndarray]

BACKGROUND = "background"

_SPLITS = {
    "train": ("train", "training", "train_extra"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


@dataclass(frozen=True)
class Annotated:
    """An annotated image.

    Attributes:
        image: The image file, or a function that returns the content of an image file.
        name: Path of the image relative to the folder that was searched, with `/` as separator and
            with suffix; `output_paths` derives the path in the output from it.
        file: The annotation file, for messages.
        size: (height, width) of the image according to the annotations.
        regions: Function that returns the regions in drawing order: later regions cover earlier
            ones.
        split: `"train"`, `"val"`, `"test"`, or `None` if the source names no split for the image.
    """

    image: Path | Callable[[], bytes]
    name: str
    file: Path
    size: Size
    regions: Callable[[], Iterable[Region]]
    split: str | None = None


class Annotations:
    """The annotated images of a source. The readers of the formats add images and classes.

    Attributes:
        source: The annotation file, or a folder.
        folder: The source if it is a folder, else its parent folder.
        examples: The annotated images.
        class_names: Names of the classes in the order of the source.
        colors: {class name: colour}, for classes whose colour is in the source.
        has_background: Whether pixels outside of all regions may get the class "background"; false
            for Cityscapes.
        problems: {problem: files}; if there are problems, nothing is written.
        skipped: {description of skipped parts of the source: their number}.
    """

    def __init__(self, source: Path, images: Path | None = None):
        self.source = source
        self.folder = source if source.is_dir() else source.parent
        self.examples: list[Annotated] = []
        self.class_names: list[str] = []
        self.colors: dict[str, Color] = {}
        self.has_background = True
        self.problems: dict[str, list[str]] = defaultdict(list)
        self.skipped = Counter()
        self._roots = [folder for folder in (images, self.folder) if folder is not None]
        self._files = self._list_files()
        self._unused = set(self._files)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for path in self._files:
            self._by_name[os.path.basename(path)].append(path)
            self._by_stem[os.path.splitext(path)[0]].append(path)

    def add_class(self, name: str, color: Color | None = None) -> str:
        """Add a class, if it does not exist yet, and return its name."""
        if not name.strip():
            raise ValueError(f"{self.source} has a class without a name: name it and try again")
        if name.strip("_").casefold() == BACKGROUND:
            name = BACKGROUND
        if name not in self.class_names:
            self.class_names.append(name)
        if color is not None:
            self.colors.setdefault(name, color)
        return name

    def add(
        self,
        file: Path,
        image: str | Path,
        size: Size,
        regions: Callable[[], Iterable[Region]],
        split: str | None = None,
        embedded: tuple[Callable[[], bytes], str] | None = None,
    ) -> None:
        """Add an image and its annotations; `size`, `regions` and `split` are as in `Annotated`.

        `file` is the annotation file. `image` is either a string, the path of the image as written
        in that file (it may be a path on another machine), or a `Path`, the path of the image
        without its suffix. For images that may be in the annotation file only, `embedded` is
        (function that returns the content of the image file, suffix of the image file).
        """
        found = self._beside(image) if isinstance(image, Path) else self._named(image, file.parent)
        if len(found) == 1:
            self._unused.discard(found[0])
            self.examples.append(Annotated(*self._files[found[0]], file, size, regions, split))
        elif found:
            problem = "several images have this name: keep only one"
            self.problems[problem].append(f"{image} of {file}")
        elif embedded is not None:
            content, suffix = embedded
            name = PurePosixPath(str(image).replace("\\", "/")).with_suffix(suffix).name
            self.examples.append(Annotated(content, name, file, size, regions, split))
        else:
            where = " and ".join(map(str, self._roots))
            problem = f"the image is not in {where}: pass its folder as --images"
            self.problems[problem].append(f"{image} of {file}")

    def skip_unused_images(self) -> None:
        """Add the number of image files without annotations to `skipped`."""
        if self._unused:
            self.skipped["images without annotations"] = len(self._unused)

    def _list_files(self):
        """Return {path: (path, path relative to its root)} of all image files."""
        files = {}
        for root in self._roots:
            try:
                paths = find_images(root, log_skipped=False)
            except ValueError:  # There are no images.
                paths = []
            for path in paths:
                name = path.relative_to(root).as_posix()
                files.setdefault(os.path.normpath(path), (path, name))
        return files

    def _beside(self, path):
        """Return the images with this path and any suffix, else those with this name in a root."""
        stems = [path, *(root / path.name for root in self._roots)]
        found = (self._by_stem.get(os.path.normpath(stem)) for stem in stems)
        return next(filter(None, found), [])

    def _named(self, name, near):
        """Return the image files that match an image path in an annotation file."""
        parts = [part for part in name.replace("\\", "/").split("/") if part]
        for folder in (near, *self._roots):
            path = os.path.normpath(os.path.join(folder, *parts))
            if path in self._files:
                return [path]
        # The path may be from another machine: find the files whose paths have the most last parts
        # in common with it.
        paths = self._by_name[parts[-1]] if parts else []
        for start in range(len(parts)):
            end = os.sep + os.path.join(*parts[start:])
            if found := [path for path in paths if (os.sep + path).endswith(end)]:
                return found
        return []


def split_of(*texts: str) -> str | None:
    """Return `"train"`, `"val"` or `"test"` for the first text that names a split, else `None`."""
    for text in texts:
        for split, names in _SPLITS.items():
            if text.casefold() in names:
                return split
    return None


def annotation_files(source: Path, pattern: str) -> Iterator[Path]:
    """Yield `source` if it is a file, else its files that match `pattern`.

    The files are sorted; subfolders are searched, too.
    """
    if source.is_file():
        yield source
        return
    suffixes = frozenset({PurePosixPath(pattern).suffix})
    files = []
    with contextlib.suppress(ValueError):  # There is no such file.
        files = find_images(source, suffixes=suffixes, log_skipped=False)
    yield from (path for path in files if path.match(pattern))


def paste(mask: np.ndarray, left: int, top: int, size: Size) -> np.ndarray:
    """Paste a bool mask into an empty mask of the given size, bool [H, W].

    `left` and `top` are the position; pixels outside of the result are cut off.

    >>> paste(np.ones((2, 2), bool), -1, 0, (2, 3)).astype(int).tolist()
    [[1, 0, 0], [1, 0, 0]]
    """
    pixels = np.zeros(size, bool)
    seen = mask[max(0, -top) :, max(0, -left) :]
    target = pixels[max(0, top) :, max(0, left) :][: seen.shape[0], : seen.shape[1]]
    target[...] = seen[: target.shape[0], : target.shape[1]]
    return pixels


def drawn(shapes: Iterable[tuple[str | None, Callable[[], np.ndarray]]]) -> Iterator[Region]:
    """Yield the regions of shapes (class, function that returns the pixels)."""
    for name, pixels in shapes:
        yield name, pixels()


def check_number(value: object, path: Path, name: str) -> int:
    """Return a size in pixels as an integer, or raise `ValueError`."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value < 1 << 31:
        raise ValueError(
            f"{path}: {name} must be a number of pixels. Received: {str(value)[:80]}. Export the "
            "annotations again."
        )
    return int(value)


def check_points(points: object, path: Path) -> list[tuple[float, float]]:
    """Return points [[x, y], ...] as tuples, or raise `ValueError`."""
    try:
        array = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 2 or array.shape[1] != 2 or not (np.abs(array) < 1e6).all():
        raise ValueError(
            f"{path}: the points of a shape must be [[x, y], ...]. Received: {str(points)[:80]}. "
            "Draw the shape again."
        )
    return [tuple(point) for point in array.tolist()]
