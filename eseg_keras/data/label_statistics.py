"""Statistics of masks: the number of pixels of each class in each image."""

import itertools
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from eseg_keras.data.images.image_reader import ImageFileError


class Counted(NamedTuple):
    """The pixels of each label of one image, [256], its (height, width), and [(problem, file)]."""

    labels: np.ndarray | None = None
    size: tuple[int, int] | None = None
    problems: Sequence[tuple[str, Any]] = ()


@dataclass(frozen=True, eq=False)
class LabelStatistics:
    """Pixels of each label, and sizes of the images.

    Attributes:
        label_counts: int64 [number of images, 256], pixels of each label in each image; 0 in the
            row of an image that cannot be used.
        image_sizes: Number of images of each (height, width), most frequent first.
        problems: {problem: names of all the files}.
    """

    label_counts: np.ndarray
    image_sizes: Mapping[tuple[int, int], int]
    problems: Mapping[str, tuple[str, ...]]


def label_statistics(
    examples, show_progress: Callable[[Iterable], Iterable] = iter
) -> LabelStatistics:
    """Read every labelled image once and count its labels; `show_progress` wraps an iterable.

    >>> from eseg_keras.street_scenes import StreetScenes
    >>> statistics = label_statistics(StreetScenes("test", 2, image_size=(64, 128)))
    >>> statistics.image_sizes, statistics.label_counts.sum(axis=1).tolist()
    ({(64, 128): 2}, [8192, 8192])
    """

    def count(index):
        try:
            _, mask = examples.read(index)
        except ImageFileError as error:
            return Counted(problems=[(problem, error.path) for problem in error.problems])
        return Counted(np.bincount(mask.ravel(), minlength=256), mask.shape)

    return gather(count, len(examples), show_progress)


def gather(
    count: Callable[[int], Counted], num_images: int, show_progress: Callable[[Iterable], Iterable]
) -> LabelStatistics:
    """Call `count` for every image, from several threads, and combine the results."""
    counts = np.zeros((num_images, 256), np.int64)
    sizes, problems = Counter(), defaultdict(list)
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for index, counted in enumerate(show_progress(pool.map(count, range(num_images)))):
            if counted.labels is not None:
                counts[index] = counted.labels
            if counted.size is not None:
                sizes[counted.size] += 1
            for problem, file in counted.problems:
                problems[problem].append(str(file))
    finally:
        pool.shutdown(cancel_futures=True)
    return LabelStatistics(
        label_counts=counts,
        image_sizes=dict(sizes.most_common()),
        problems={problem: tuple(files) for problem, files in problems.items()},
    )


def representatives(label_counts: np.ndarray, count: int) -> list[int]:
    """Choose at most `count` images, in ascending order, that show as many classes as possible.

    `label_counts` is [images, classes]; images without labelled pixels are never chosen. For the
    rarest class, the image in which its share is largest is chosen; then for the next one that no
    chosen image shows, and so on. Remaining choices are spread evenly.

    >>> representatives(np.array([[9, 0], [9, 0], [9, 0], [8, 1], [7, 2], [9, 0]]), 2)
    [0, 4]
    """
    usable = np.flatnonzero(label_counts.sum(axis=1))
    shares = label_counts / np.maximum(label_counts.sum(axis=1, keepdims=True), 1)
    num_images = (label_counts > 0).sum(axis=0)
    chosen = []
    for label in np.argsort(num_images, kind="stable"):
        shown = (label_counts[chosen, label] > 0).any()
        if num_images[label] and not shown and len(chosen) < count:
            chosen.append(int(shares[:, label].argmax()))
    # Evenly spaced images first, then any others.
    spread = usable[np.linspace(0, len(usable) - 1, min(count, len(usable))).astype(int)]
    for index in itertools.chain(spread.tolist(), usable.tolist()):
        if len(chosen) < count and index not in chosen:
            chosen.append(index)
    return sorted(chosen)
