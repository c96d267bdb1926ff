"""Photos in one folder for each class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eseg_keras.data.images.image_reader import read_image
from eseg_keras.data.images.walker import find_images


@dataclass(frozen=True)
class ClassFolder:
    """The photos of a split, read one at a time.

    Attributes:
        photos: Image files.
        labels: The class of each.
        class_names: Names of the classes in the order of their labels.
    """

    photos: tuple[Path, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.photos)

    def read(self, index: int) -> tuple[np.ndarray, int]:
        """Read one example.

        Args:
            index: Which, from 0.

        Returns:
            The image, uint8 [H, W, 3] RGB, and its label.

        Raises:
            ImageFileError: If the file is not a whole image; it names the file.
        """
        return read_image(self.photos[index]), self.labels[index]

    def name(self, index: int) -> str:
        """File of an example."""
        return str(self.photos[index])


def class_folders(directory: str | Path, class_names: Sequence[str] | None = None) -> ClassFolder:
    """Find the photos of a folder that has one folder for each class.

    Args:
        directory: Folder such as `data/train`, with `data/train/CLASS/PHOTO.jpg`.
        class_names: Names of the classes in the order of their labels: pass those of the training
            photos for the validation photos. Defaults to the names of the folders in alphabetic
            order.

    Returns:
        The examples.

    Raises:
        FileNotFoundError: If the folder, or any photo in it, is missing.
        ValueError: If there is a folder of no class.

    Example:

    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> from eseg_keras.data.classification import class_folders
    >>> directory = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("cat", "dog"):
    ...     (directory / name).mkdir()
    ...     Image.new("RGB", (50, 40)).save(directory / name / "1.jpg")
    >>> examples = class_folders(directory)
    >>> len(examples), examples.class_names, examples.read(1)[1]
    (2, ('cat', 'dog'), 1)
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise FileNotFoundError(
            f"There is no folder {directory}. Expected one with a folder of photos for each class"
        )
    folders = sorted(path for path in directory.iterdir() if path.is_dir())
    folders = [folder for folder in folders if not folder.name.startswith(".")]
    found = [folder.name for folder in folders]
    class_names = tuple(found if class_names is None else class_names)
    if unknown := sorted(set(found) - set(class_names)):
        raise ValueError(
            f"{directory} holds folders of no class: {', '.join(unknown[:8])}. The classes are "
            f"{', '.join(class_names[:8])}{', ...' * (len(class_names) > 8)}"
        )
    label_of = {name: label for label, name in enumerate(class_names)}
    photos, labels = [], []
    for folder in folders:
        try:
            chosen = find_images(folder)
        except ValueError as error:
            raise FileNotFoundError(f"{folder}: {error}") from error
        photos += chosen
        labels += [label_of[folder.name]] * len(chosen)
    if not photos:
        raise FileNotFoundError(f"{directory} holds no folders: expected one for each class")
    return ClassFolder(tuple(photos), tuple(labels), class_names)
