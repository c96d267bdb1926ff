"""What labelled images hold: how much of each class, and in how many images."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from eseg_keras.data.images.image_reader import ImageFileError


class Examples(Protocol):
    """Labelled images that are read one at a time."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return an image [H, W, 3] and its uint8 mask [H, W]."""


@dataclass(frozen=True, eq=False)
class LabelStatistics:
    """What was counted in labelled images.

    Attributes:
        label_counts: int64 [number of images, 256], pixels of each label in each image; 0 in the
            row of an image that cannot be used.
        image_sizes: Number of images of each (height, width).
        problems: {what is wrong: names of all the files}.
    """

    label_counts: np.ndarray
    image_sizes: Mapping[tuple[int, int], int]
    problems: Mapping[str, tuple[str, ...]]


def label_statistics(
    examples: Examples, show_progress: Callable[[Iterable], Iterable] = iter
) -> LabelStatistics:
    """Read every labelled image once and count its labels.

    Args:
        examples: The labelled images.
        show_progress: Function that passes an iterable on, such as a progress bar.

    Returns:
        The counts, and what is wrong with images that cannot be used.

    Example:

    >>> from eseg_keras.data.label_statistics import label_statistics
    >>> from eseg_keras.training import Experiment
    >>> from eseg_keras.training.data import open_examples
    >>> scenes = Experiment(data="street_scenes", image_size=(64, 128), val_examples=2)
    >>> statistics = label_statistics(open_examples(scenes, "validation"))
    >>> statistics.image_sizes, statistics.label_counts.sum(axis=1).tolist()
    ({(64, 128): 2}, [8192, 8192])
    """
    counts = np.zeros((len(examples), 256), np.int64)
    sizes, problems = Counter(), defaultdict(list)

    def count(index):
        try:
            _, mask = examples.read(index)
        except ImageFileError as error:
            return None, None, error
        return np.bincount(mask.ravel(), minlength=256), mask.shape, None

    pool = ThreadPoolExecutor()
    try:
        for index, result in enumerate(show_progress(pool.map(count, range(len(examples))))):
            labels, size, error = result
            if error is None:
                counts[index] = labels
                sizes[size] += 1
            else:
                for problem in error.problems:
                    problems[problem].append(str(error.path))
    finally:
        pool.shutdown(cancel_futures=True)
    return LabelStatistics(
        label_counts=counts,
        image_sizes=dict(sizes.most_common()),
        problems={problem: tuple(names) for problem, names in problems.items()},
    )


def representatives(label_counts: np.ndarray, count: int) -> list[int]:
    """Choose images that together show every class, as far as so few can.

    The rarest class comes first, with the image in which it is largest; then the next that none
    of the chosen images shows, and so on. What is left over goes to images from the whole range.

    Args:
        label_counts: Pixels [number of images, number of classes]; an image without any is left
            out.
        count: How many images at most.

    Returns:
        Their numbers, in ascending order.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.data.label_statistics import representatives
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
    # Evenly spaced first, then whatever is left.
    spread = usable[np.linspace(0, len(usable) - 1, min(count, len(usable))).astype(int)]
    for index in itertools.chain(spread.tolist(), usable.tolist()):
        if len(chosen) < count and index not in chosen:
            chosen.append(index)
    return sorted(chosen)
