"""The classes of a data set, and how the labels in its files become class ids."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

IGNORE_LABEL = 255
"""Label of the pixels that count nowhere, in every data set after it is read."""

Color = tuple[int, int, int]


@dataclass(frozen=True)
class ClassTable:
    """Names and colours of the classes, and the class of each label in the annotation files.

    Attributes:
        colors: {class name: (red, green, blue)}, 0..255, in the order of the class ids.
        file_labels: {label in the files, 0..255: class id, or 255 for what is ignored}. A label
            that is not here does not belong to the data set.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.data.datasets.labels import ClassTable
    >>> table = ClassTable({"road": (128, 64, 128), "sky": (70, 130, 180)}, {0: 255, 7: 0, 23: 1})
    >>> table.read(np.array([[0, 7, 23]], np.uint8))
    array([[255,   0,   1]], dtype=uint8)
    """

    colors: Mapping[str, Color]
    file_labels: Mapping[int, int]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of their ids."""
        return tuple(self.colors)

    @property
    def palette(self) -> tuple[Color, ...]:
        """One (red, green, blue) a class, 0..255."""
        return tuple(self.colors.values())

    @cached_property
    def _classes(self) -> np.ndarray:
        table = np.full(256, IGNORE_LABEL, np.uint8)
        for label, class_id in self.file_labels.items():
            table[label] = class_id
        return table

    @cached_property
    def _is_known(self) -> np.ndarray:
        table = np.zeros(256, bool)
        table[list(self.file_labels)] = True
        return table

    def read(self, labels: np.ndarray) -> np.ndarray:
        """Turn the labels of a file into class ids.

        Args:
            labels: uint8 array [H, W], as in the file.

        Returns:
            uint8 array [H, W] of class ids, and 255 where the pixel is ignored.

        Raises:
            ValueError: If there is a label that the data set does not have.
        """
        known = np.take(self._is_known, labels)
        if not known.all():
            strays = np.unique(labels[~known]).tolist()
            raise ValueError(
                f"has the labels {strays[:8]}, which the data set does not have: its files hold "
                f"{min(self.file_labels)} to {max(set(self.file_labels) - {IGNORE_LABEL})}"
            )
        return np.take(self._classes, labels)
