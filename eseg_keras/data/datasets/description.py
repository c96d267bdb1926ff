"""What is known about a data set before any of its files is there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eseg_keras.data.datasets.labels import ClassTable


@dataclass(frozen=True)
class Split:
    """One split of a data set.

    Attributes:
        num_examples: Images in the published set.
        images: Folder of the images, from the folder that holds the data set.
        labels: Folder of the label maps.
    """

    num_examples: int
    images: str
    labels: str


@dataclass(frozen=True)
class Layout:
    """How the files of a data set lie, in its archive or in the unpacked folder.

    The label map of `IMAGES/NAME.jpg` is `LABELS/NAME.png`.

    Attributes:
        splits: {name of the split: where its files are}.
        root: Pattern of the name of the folder that holds them all; `"*"` for any or none.
    """

    splits: Mapping[str, Split]
    root: str = "*"


@dataclass(frozen=True)
class Description:
    """A data set that must be downloaded by hand.

    Attributes:
        name: As `load` knows it, and its folder in the data directory.
        title: As people know it.
        summary: A sentence or two about what it holds.
        classes: Its classes.
        layouts: The layouts it is published in. The first that is found is read.
        archives: Names of the files to download, for messages.
        homepage: Where they are.
        citation: BibTeX entry of the paper to cite.
        license: Terms of use, in a sentence.
    """

    name: str
    title: str
    summary: str
    classes: ClassTable
    layouts: tuple[Layout, ...]
    archives: tuple[str, ...]
    homepage: str
    citation: str
    license: str

    @property
    def splits(self) -> dict[str, Split]:
        """The splits of the first layout, which has them all."""
        return dict(self.layouts[0].splits)

    def instructions(self, folder: str | Path) -> str:
        """Say what to download, and where to place it.

        Args:
            folder: Where the archives are looked for.
        """
        it = "it" if len(self.archives) == 1 else "them"
        return (
            f"download {' and '.join(self.archives)} from {self.homepage} and place {it}, zipped "
            f"or unpacked, in {folder}"
        )

    def missing(self, folder: str | Path) -> str:
        """The message for archives that are not there.

        Args:
            folder: Where they belong.
        """
        return f"{self.title} is not there yet: {self.instructions(folder)}"
