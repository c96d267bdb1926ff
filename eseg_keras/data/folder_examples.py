"""The examples of a folder of photos and one of masks, found, checked and read one at a time."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eseg_keras.data.folder_checks import FolderSummary, check_files, pair_files
from eseg_keras.data.geometry import resize_long_side
from eseg_keras.data.images.image_reader import MAX_PIXELS, ImageFileError, read_image
from eseg_keras.data.images.mask_reader import Color, MaskReader

log = logging.getLogger(__name__)


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
        max_pixels: Photos with more pixels are refused.
    """

    photos: tuple[Path, ...]
    masks: tuple[Path, ...]
    read_labels: MaskReader
    num_classes: int
    long_side: int | None = None
    summary: FolderSummary | None = None
    max_pixels: int = MAX_PIXELS

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
        image, mask = (
            read_image(self.photos[index], max_pixels=self.max_pixels),
            self.read_labels(self.masks[index]),
        )
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
        return check_files(
            self.photos,
            self.masks,
            self.read_labels,
            verbose,
            skip_bad_examples,
            self.max_pixels,
        )


def open_folders(
    images: str | Path,
    masks: str | Path,
    *,
    class_names: Sequence[str] | None = None,
    num_classes: int | None = None,
    ignore_label: int = 255,
    class_map: Mapping[int, int] | None = None,
    mask_colors: Mapping[Color, int] | Sequence[Color] | None = None,
    reduce_zero_label: bool = False,
    mask_suffix: str = "",
    long_side: int | None = None,
    skip_bad_examples: bool = False,
    check: bool = True,
    verbose: bool = True,
    max_pixels: int = MAX_PIXELS,
) -> FolderExamples:
    """Pair a folder of photos with a folder of masks, and check every file.

    Photos (JPEG, PNG, BMP, WebP) and masks (PNG, BMP, lossless WebP) pair by name; folders inside
    the two correspond. A mask holds class ids as grey values or palette indices, or colours with
    `mask_colors`. Every file is read once, and every file with a fault is reported in one error.

    With two classes, masks that hold nothing but 0 and 255 are taken for black and white: 255 is
    class 1 (and not the ignore label, which would leave that class without a pixel in the whole
    folder). A log line says so. `class_map={255: 1}` or `{255: 255}` decides it by hand.

    Args:
        images: Folder of the photos. Their EXIF rotation is applied.
        masks: Folder of the masks.
        class_names: Names of the classes in the order of their ids.
        num_classes: Number of classes, at most 255, where there are no names.
        ignore_label: Label of the pixels that count nowhere, in the files and in the result.
        class_map: {id in the files: new id}; a new id may be `ignore_label`.
        mask_colors: {(red, green, blue): id}, or the colours in class order. Any other colour is an
            error.
        reduce_zero_label: Whether id 0 means "no label" and classes begin at 1 (see `MaskReader`
            for the order of these three).
        mask_suffix: What the name of a mask adds to that of its photo, such as `"_labelIds"`.
        long_side: Pixels that the longer side of photo and mask is resized to first.
        skip_bad_examples: Whether files that cannot be used are logged, instead of being an error.
        check: Whether to read every file now. Without, a faulty file is found when it is reached,
            and black and white masks are not recognised.
        verbose: Whether the check shows a progress bar if there are many files.
        max_pixels: Photos and masks with more pixels are refused before they are decoded. Defaults
            to Pillow's own limit, about 179 million.

    Returns:
        The examples, with a summary of what the check found.

    Raises:
        FolderError: If photos and masks do not pair, or files cannot be used; its message lists
            them with what to do, and `problems` holds them all.
        ValueError: If an argument is out of range, or contradicts another.
    """
    num_classes = _number_of_classes(class_names, num_classes, mask_colors)
    if long_side is not None and long_side < 1:
        raise ValueError(f"`long_side` must be at least 1. Received: long_side={long_side}")
    label_options = dict(
        mask_colors=mask_colors,
        reduce_zero_label=reduce_zero_label,
        ignore_label=ignore_label,
        max_pixels=max_pixels,
    )
    examples = FolderExamples(
        *pair_files(images, masks, mask_suffix),
        MaskReader(num_classes, class_map=class_map, **label_options),
        num_classes,
        long_side,
        max_pixels=max_pixels,
    )
    if not check:
        return examples
    summary = examples.check(verbose, skip_bad_examples)
    counts = summary.label_counts
    if class_map is None and num_classes == 2 and ignore_label == 255 and not reduce_zero_label:
        # Valid labels are 0, 1 and 255 here: without a 1 in the whole folder, 255 is the 1.
        if counts[1] == 0 and counts[255] > 0:
            log.warning("The masks in %s are black and white: 255 is read as class 1.", masks)
            black_and_white = MaskReader(2, class_map={255: 1}, **label_options)
            examples = replace(examples, read_labels=black_and_white)
            counts[[1, 255]] = counts[[255, 1]]
    counts[ignore_label] = 0
    return replace(examples, summary=summary)


def _number_of_classes(class_names, num_classes, mask_colors):
    """Number of classes, from what the caller said about them."""
    counts = {
        "class_names": None if class_names is None else len(class_names),
        "num_classes": num_classes,
        # Colours by {colour: id} may share ids or be ignored: they do not tell.
        "mask_colors": len(mask_colors) if isinstance(mask_colors, Sequence) else None,
    }
    said = {name: count for name, count in counts.items() if count is not None}
    if not said:
        raise ValueError("Pass `class_names`, or `num_classes`, so that labels can be checked")
    if len(set(said.values())) > 1:
        raise ValueError(f"The arguments disagree about the number of classes. Received: {said}")
    return next(iter(said.values()))
