"""Count the pixels of each class in each image; choose examples and splits by these counts."""

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
    """Result for one image: pixels of each label [256], (height, width) and [(problem, file)].

    `labels` is None if the mask cannot be read, and `size` if the image cannot be read.
    """

    labels: np.ndarray | None = None
    size: tuple[int, int] | None = None
    problems: Sequence[tuple[str, Any]] = ()


@dataclass(frozen=True, eq=False)
class LabelStatistics:
    """Pixels of each label, and sizes of the images.

    Attributes:
        label_counts: int64 [number of images, 256], pixels of each label in each image; 0 if the
            mask (in `label_statistics`, the mask or the image) cannot be read.
        image_sizes: {(height, width): number of images}, most frequent first.
        problems: {problem: names of all files with it}.
    """

    label_counts: np.ndarray
    image_sizes: Mapping[tuple[int, int], int]
    problems: Mapping[str, tuple[str, ...]]


def label_statistics(
    examples, show_progress: Callable[[Iterable], Iterable] = iter
) -> LabelStatistics:
    """Read every example once and count its labels; `show_progress` wraps the loop's iterable.

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
    """Call `count` for the index of every image, in several threads, and combine the results."""
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
    """Return the sorted indices of at most `count` images that show many classes.

    `label_counts` is [images, classes]; images without labelled pixels are never chosen. Classes
    are visited from the rarest to the most frequent. If no chosen image shows the class, the image
    in which the class covers the largest share of pixels is chosen. If these images are fewer than
    `count`, evenly spaced images are added.

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
    # Add evenly spaced images first, then any others.
    spread = usable[np.linspace(0, len(usable) - 1, min(count, len(usable))).astype(int)]
    for index in itertools.chain(spread.tolist(), usable.tolist()):
        if len(chosen) < count and index not in chosen:
            chosen.append(index)
    return sorted(chosen)


def stratified_split(
    label_counts: np.ndarray, share: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Split examples into two parts with about the same frequency of each class.

    A class of at least two examples is in both parts, if their sizes allow it.
    The frequency of a class is the share of examples that contain it. `label_counts` [examples,
    classes] are the pixels of each class. Examples of the rarest class are assigned first, each to
    the part that lacks most examples of the class. `share`, above 0 and below 1, is the share of
    the examples in the second part; each part has at least one example. Return the sorted indices
    of both parts. A single example is in both parts.

    Reference:
        [Sechidis et al., 2011, On the Stratification of Multi-Label
        Data](https://doi.org/10.1007/978-3-642-23808-6_10)
    """
    count = len(label_counts)
    if not count or not 0 < share < 1:
        raise ValueError(
            "stratified_split expects at least one example, and a share above 0 and below 1. "
            f"Received: {count} examples, share={share}"
        )
    if count == 1:
        return np.array([0]), np.array([0])
    has_class = np.asarray(label_counts) > 0
    num_second = min(max(1, round(share * count)), count - 1)
    capacity = np.array([count - num_second, num_second])
    # Number of examples of each class that each part still needs: at least one if there are two.
    total = has_class.sum(axis=0)
    second = num_second / count * total
    second = np.where(total > 1, np.clip(second, 1, np.maximum(total - 1, 1)), second)
    lacking = np.array([total - second, second])
    order = np.random.default_rng(seed).permutation(count)
    part = np.full(count, -1)
    while (part < 0).any():
        left = order[part[order] < 0]
        remaining = has_class[left].sum(axis=0)
        if remaining.any():
            label = np.argmin(np.where(remaining, remaining, count + 1))
            left = left[has_class[left, label]]
            need = lacking[:, label]
        else:
            need = capacity
        for index in left:
            free = np.flatnonzero(capacity > 0)
            # The part that needs most examples of the class; if equal, the one with more room.
            chosen = max(free, key=lambda side: (need[side], capacity[side]))
            part[index] = chosen
            capacity[chosen] -= 1
            lacking[chosen] -= has_class[index]
    return np.flatnonzero(part == 0), np.flatnonzero(part == 1)
