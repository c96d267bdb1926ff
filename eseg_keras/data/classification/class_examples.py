"""Images in one folder per class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eseg_keras.data.images.image_reader import read_image
from eseg_keras.data.images.walker import find_images


@dataclass(frozen=True)
class ClassFolder:
    """The images of a split, read one at a time.

    Attributes:
        images: Image files.
        labels: The class of each.
        class_names: Names of the classes in the order of their labels.
    """

    images: tuple[Path, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> tuple[np.ndarray, int]:
        """Return an image, uint8 [H, W, 3] RGB, and its label; ImageFileError names a bad file."""
        return read_image(self.images[index]), self.labels[index]

    def name(self, index: int) -> str:
        """Return the file of an example."""
        return str(self.images[index])


def class_folders(directory: str | Path, class_names: Sequence[str] | None = None) -> ClassFolder:
    """Find the images of a folder that has one folder per class.

    Args:
        directory: Folder such as `data/train`, with `data/train/CLASS/IMAGE.jpg`.
        class_names: Names of the classes in the order of their labels: pass those of the training
            images for the validation images. Defaults to the names of the folders in alphabetic
            order.

    Returns:
        The examples.

    Raises:
        FileNotFoundError: If the folder, or any image in it, is missing.
        ValueError: If a folder belongs to no class.

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
            f"There is no folder {directory}. Expected one with a folder of images for each class"
        )
    folders = sorted(directory.iterdir())
    folders = [path for path in folders if path.is_dir() and not path.name.startswith(".")]
    if not folders:
        raise FileNotFoundError(f"{directory} holds no folders: expected one for each class")
    found = [folder.name for folder in folders]
    class_names = tuple(found if class_names is None else class_names)
    if unknown := sorted(set(found) - set(class_names)):
        raise ValueError(
            f"{directory} holds folders of no class: {', '.join(unknown[:8])}. The classes are "
            f"{', '.join(class_names[:8])}{', ...' * (len(class_names) > 8)}"
        )
    images, labels = [], []
    for folder in folders:
        try:
            images += find_images(folder)
        except ValueError as error:
            raise FileNotFoundError(f"{folder}: {error}") from error
        labels += [class_names.index(folder.name)] * (len(images) - len(labels))
    return ClassFolder(tuple(images), tuple(labels), class_names)
