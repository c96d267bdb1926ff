"""Descriptions of data sets: classes, file layouts and download pages."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

IGNORE_LABEL = 255
"""Label of ignored pixels in the masks that are returned for every data set."""

Color = tuple[int, int, int]


@dataclass(frozen=True)
class ClassTable:
    """Names and colours of the classes, and the class of each label in the mask files.

    Attributes:
        colors: {class name: (red, green, blue)}, 0..255, in the order of the class ids.
        file_labels: {label in the files, 0..255: class id, or 255 to ignore it}; other labels in a
            file raise an error.
    """

    colors: Mapping[str, Color]
    file_labels: Mapping[int, int]

    @classmethod
    def from_text(cls, text: str, file_labels: Mapping[int, int]) -> "ClassTable":
        """Parse a text such as `"road 804080, sky 4682b4"`: names and hexadecimal colours."""
        entries = [entry.strip().rpartition(" ") for entry in text.split(",")]
        return cls({name: tuple(bytes.fromhex(color)) for name, _, color in entries}, file_labels)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of their ids."""
        return tuple(self.colors)

    @property
    def palette(self) -> tuple[Color, ...]:
        """One (red, green, blue) per class, 0..255."""
        return tuple(self.colors.values())

    @cached_property
    def _class_ids(self) -> np.ndarray:
        """Class id of each label, -1 for unknown ones."""
        return np.array([self.file_labels.get(label, -1) for label in range(256)], np.int16)

    def read(self, labels: np.ndarray) -> np.ndarray:
        """Map the labels of a file, uint8 [H, W], to class ids and 255.

        Raise ValueError if the file contains unknown labels.

        >>> table = ClassTable({"road": (128, 64, 128), "sky": (0, 0, 255)}, {0: 255, 7: 0, 9: 1})
        >>> table.read(np.array([[0, 7, 9]], np.uint8))
        array([[255,   0,   1]], dtype=uint8)
        """
        class_ids = np.take(self._class_ids, labels)
        if class_ids.min(initial=0) < 0:
            unknown = np.unique(labels[class_ids < 0]).tolist()
            raise ValueError(
                f"has the labels {unknown[:8]}, which the data set does not have: expected labels "
                f"{min(self.file_labels)} to {max(set(self.file_labels) - {IGNORE_LABEL})}"
            )
        return class_ids.astype(np.uint8)


@dataclass(frozen=True)
class Split:
    """One split: the number of published images, and the folders of images and masks.

    If several splits share their folders, `files` is the pattern of the split's image names.
    """

    num_examples: int
    images: str
    labels: str
    files: str = "*"


@dataclass(frozen=True)
class Layout:
    """The folders of a data set, in its archive or unpacked.

    The mask of `IMAGES/CITY/NAME{image_suffix}.jpg` (or `.png`) is
    `LABELS/CITY/NAME{mask_suffix}.png`. IMAGES and LABELS are the folders of a `Split`; subfolders
    such as CITY are optional.

    Attributes:
        splits: {name: split}.
        root: Pattern for the name of the folder that contains all splits; `"*"` for any name. The
            name of a zip archive's top level is the archive's file name.
        files: Pattern for the names of the images.
        image_suffix: End of the names of images, before the file suffix.
        mask_suffix: End of the names of masks, before `.png`.
        has_two_roots: Whether images and masks are in separate archives, which may be unpacked to
            different folders.
    """

    splits: Mapping[str, Split]
    root: str = "*"
    files: str = "*"
    image_suffix: str = ""
    mask_suffix: str = ""
    has_two_roots: bool = False


@dataclass(frozen=True)
class Description:
    """A data set that must be downloaded by hand.

    Attributes:
        name: Name of the data set in `load`, and of its folder in the data directory.
        title: Name of the data set for messages.
        classes: Classes of the data set.
        layouts: Layouts in which the data set is published. The first layout found is read.
        archives: Names of the files to download, for messages.
        homepage: Address of the download page.
        license: Terms of use, in a sentence.
        check: Function that receives the folder of the files, and raises an error if the files are
            of another version.
        config: Name of the configuration in tensorflow-datasets; empty if tensorflow-datasets does
            not have this data set.
        order: Function of the names of a split and an example; returns the sort key of the example.
            By default, examples are sorted by name.
    """

    name: str
    title: str
    classes: ClassTable
    layouts: tuple[Layout, ...]
    archives: tuple[str, ...]
    homepage: str
    license: str
    check: Callable[[Any], None] | None = None
    config: str = ""
    order: Callable[[str, str], str] = lambda split, name: name

    @property
    def splits(self) -> dict[str, Split]:
        """The splits, as in the first layout: it contains all splits of the data set."""
        return dict(self.layouts[0].splits)

    def missing(self, folder: str | Path) -> str:
        """Return a message that says which archives to download and to place in `folder`."""
        it = "it" if len(self.archives) == 1 else "them"
        return (
            f"{self.title} was not found: download {' and '.join(self.archives)} from "
            f"{self.homepage} and place {it}, zipped or unpacked, in {folder}"
        )


def look_up(table: Mapping[str, Any], name: str, problem: str) -> Any:
    """Return the entry of a name; raise ValueError with similar names if it does not exist."""
    if name not in table:
        near = difflib.get_close_matches(str(name), table, n=3, cutoff=0.4) or table
        raise ValueError(f"{problem} Nearest names: {', '.join(near)}")
    return table[name]
