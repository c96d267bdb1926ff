"""The examples of a folder, read one at a time."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eseg_keras.data.folder_checks import FolderSummary, check_files
from eseg_keras.data.geometry import resize_long_side
from eseg_keras.data.image_files import ImageFileError, read_photo
from eseg_keras.data.label_maps import LabelReader


@dataclass(frozen=True)
class FolderExamples:
    """The examples of a folder, read one at a time.

    Attributes:
        photos: Image files.
        masks: The annotation of each.
        read_labels: Function of an annotation file that returns uint8 [H, W].
        num_classes: Number of classes.
        long_side: What the longer side is resized to, or None.
        summary: What a check of all files counted, or None.
    """

    photos: tuple[Path, ...]
    masks: tuple[Path, ...]
    read_labels: LabelReader
    num_classes: int
    long_side: int | None = None
    summary: FolderSummary | None = None

    def __len__(self) -> int:
        return len(self.photos)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read one example.

        Args:
            index: Which, from 0.

        Returns:
            The image, uint8 [H, W, 3] RGB, and its mask, uint8 [H, W].

        Raises:
            ImageFileError: If a file cannot be used; it names the file.
        """
        image, mask = read_photo(self.photos[index]), self.read_labels(self.masks[index])
        if image.shape[:2] != mask.shape:
            raise ImageFileError(
                self.photos[index],
                [f"is {image.shape[:2]} in size and its mask {self.masks[index]} {mask.shape}"],
            )
        if self.long_side is not None:
            image, mask = resize_long_side(image, mask, self.long_side)
        return image, mask

    def name(self, index: int) -> str:
        """File of the photo of an example."""
        return str(self.photos[index])

    def check(self, verbose: bool = True, skip_bad_examples: bool = False) -> FolderSummary:
        """Read every file once and report all that is wrong.

        Args:
            verbose: Whether to show a progress bar if there are many files.
            skip_bad_examples: Whether to log what is wrong instead of raising it.

        Returns:
            Sizes of the photos in the files, and pixels of each label.

        Raises:
            FolderError: If a file cannot be used.
        """
        return check_files(self.photos, self.masks, self.read_labels, verbose, skip_bad_examples)
