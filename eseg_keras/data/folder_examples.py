"""Examples from a folder of images and a folder of masks."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eseg_keras.data.examples import Examples
from eseg_keras.data.folder_checks import FolderSummary, check_files, pair_files
from eseg_keras.data.geometry import resize_long_side, scaled
from eseg_keras.data.images.image_reader import MAX_PIXELS, ImageFileError, read_image
from eseg_keras.data.images.mask_reader import Color, MaskReader
from eseg_keras.image_size import check_image_range

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderExamples(Examples):
    """The examples of a folder; `batches` returns them as batches for training.

    Attributes:
        images: Image files.
        masks: Mask files, in the order of `images`.
        read_mask: Function of a mask file that returns uint8 [H, W].
        num_classes: Number of classes.
        long_side: Size to which the longer side of images is resized, or None.
        summary: Label counts (0 for the ignore label) and image sizes, or None if the files were
            not checked.
        max_pixels: Images with more pixels raise an error.
        image_range: (lowest, highest) value of the images, see `read_image`.
    """

    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    read_mask: MaskReader
    num_classes: int
    long_side: int | None = None
    summary: FolderSummary | None = None
    max_pixels: int = MAX_PIXELS
    image_range: tuple[float, float] | None = None

    @property
    def ignore_label(self) -> int:
        """Label of ignored pixels."""
        return self.read_mask.ignore_label

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(height, width) of all examples; None if they differ or were not checked."""
        if self.summary is None or len(self.summary.image_sizes) != 1:
            return None
        (size,) = self.summary.image_sizes
        return size if self.long_side is None else scaled(size, self.long_side / max(size))

    @property
    def class_counts(self) -> np.ndarray | None:
        """Pixels of each class, [num_classes]; None if the files were not checked."""
        return None if self.summary is None else self.summary.label_counts[: self.num_classes]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read an image, uint8 [H, W, 3] RGB, and its mask, uint8 [H, W]."""
        image = self.read_image(index)
        mask = self.read_mask(self.masks[index])
        if image.shape[:2] != mask.shape:
            raise ImageFileError(
                self.images[index],
                [f"has size {image.shape[:2]}, but its mask {self.masks[index]} {mask.shape}"],
            )
        if self.long_side is not None:
            image, mask = resize_long_side(image, mask, self.long_side)
        return image, mask

    def read_image(self, index: int) -> np.ndarray:
        """Read an image in its own size, uint8 [H, W, 3] RGB."""
        return read_image(
            self.images[index],
            max_pixels=self.max_pixels,
            image_range=self.image_range,
            first_frame=self.read_mask.first_frame,
        )

    def name(self, index: int) -> str:
        """Return the image file of an example."""
        return str(self.images[index])

    def check(self, verbose: bool = True, skip_bad_examples: bool = False) -> FolderSummary:
        """Read every file once; raise one FolderError with all problems.

        With `skip_bad_examples`, log the error instead.
        """
        return check_files(self, verbose, skip_bad_examples)


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
    image_suffix: str = "",
    long_side: int | None = None,
    skip_bad_examples: bool = False,
    check: bool = True,
    verbose: bool = True,
    max_pixels: int = MAX_PIXELS,
    image_range: tuple[float, float] | None = None,
    first_frame: bool = False,
) -> FolderExamples:
    """Pair a folder of images with a folder of masks, and check every file.

    Images (JPEG, PNG, BMP, WebP, TIFF, ...) and masks (PNG, BMP, lossless WebP) are paired by name,
    also in subfolders. Masks contain class ids as grey values or palette indices; with
    `mask_colors`, they contain colours.

    With two classes, if all masks contain only 0 and 255, they are read as black and white: 255 is
    class 1, not the ignore label. This is logged; `class_map={255: 1}` or `{255: 255}` makes the
    choice explicit.

    Args:
        images: Folder of the images. Their EXIF rotation is applied.
        masks: Folder of the masks.
        class_names: Names of the classes in the order of their ids.
        num_classes: Number of classes, at most 255, if `class_names` is not given.
        ignore_label: Label of ignored pixels, in the files and in the result.
        class_map, mask_colors, reduce_zero_label: How masks encode classes, see `MaskReader`.
        mask_suffix: End of the mask names, such as `"_gtFine_labelIds"`, which is removed before
            the names are paired. Without `mask_suffix` and `image_suffix`, if some names do not
            pair, the common prefix and suffix of all image names, and those of all mask names, are
            removed if more names pair then.
        image_suffix: End of the names of images, such as `"_leftImg8bit"`.
        long_side: Size in pixels to which the longer side of image and mask is resized.
        skip_bad_examples: Whether to log unusable files instead of raising an error.
        check: Whether to read every file now. If `False`, an unusable file raises an error only
            when it is read, and black and white masks are not detected.
        verbose: Whether the check shows a progress bar if there are many files.
        max_pixels, image_range, first_frame: How the files are read; see `read_image`.
            `image_range` does not apply to masks. With `first_frame`, GIF files are read, too.

    Returns:
        The examples, with a summary of the check; their method `batches` returns `Batches`.

    Raises:
        FolderError: If images and masks do not pair, or files cannot be used; the message lists
            all problems.
        ValueError: If an argument is out of range, or contradicts another argument.

    Example:

    >>> import tempfile
    >>> from PIL import Image
    >>> from eseg_keras.data import open_folders
    >>> folder = tempfile.mkdtemp()
    >>> Image.new("RGB", (64, 48)).save(f"{folder}/one.jpg")
    >>> Image.new("L", (64, 48)).save(f"{folder}/one_mask.png")
    >>> examples = open_folders(folder, folder, mask_suffix="_mask", num_classes=2)
    >>> for images, masks in examples.batches().to_py_dataset():
    ...     print(images.shape, masks.shape)
    (1, 48, 64, 3) (1, 48, 64)
    """
    num_classes = number_of_classes(class_names, num_classes, mask_colors)
    image_range = None if image_range is None else check_image_range(image_range)
    if long_side is not None and long_side < 1:
        raise ValueError(f"`long_side` must be at least 1. Received: long_side={long_side}")

    def mask_reader(class_map):
        return MaskReader(
            num_classes,
            class_map=class_map,
            mask_colors=mask_colors,
            reduce_zero_label=reduce_zero_label,
            ignore_label=ignore_label,
            max_pixels=max_pixels,
            first_frame=first_frame,
        )

    pairs = pair_files(images, masks, mask_suffix, image_suffix, first_frame=first_frame)
    examples = FolderExamples(
        *pairs, mask_reader(class_map), num_classes, long_side, None, max_pixels, image_range
    )
    if not check:
        return examples
    summary = examples.check(verbose, skip_bad_examples)
    counts = summary.label_counts
    is_255_open = (num_classes, ignore_label) == (2, 255) and not reduce_zero_label
    if is_255_open and class_map is None and mask_colors is None:
        # All labels are 0, 1 or 255. If no mask in the folder contains 1, 255 is class 1.
        if black_and_white(counts):
            log.warning("The masks in %s are black and white: 255 is read as class 1.", masks)
            examples = replace(examples, read_mask=mask_reader({255: 1}))
            counts[[1, 255]] = counts[[255, 1]]
        elif counts[255] > 0:
            log.warning("The masks in %s contain 0, 1 and 255: 255 is ignored.", masks)
            if not summary.has_1_and_255:
                log.warning(
                    "No mask contains both 1 and 255: if 255 is class 1 in some of them, set "
                    "class_map to {255: 1}."
                )
    counts[ignore_label] = 0
    return replace(examples, summary=summary)


def black_and_white(label_counts: np.ndarray) -> bool:
    """Return whether masks with labels 0, 1 and 255 contain 255 but not 1: then 255 is class 1."""
    return bool(label_counts[1] == 0 and label_counts[255] > 0)


def number_of_classes(
    class_names: Sequence[str] | None,
    num_classes: int | None,
    mask_colors: Mapping[Color, int] | Sequence[Color] | None,
) -> int:
    """Return the number of classes; raise ValueError if arguments disagree."""
    if class_names is not None and len(set(class_names)) < len(class_names):
        raise ValueError(f"`class_names` must be unique. Received: {', '.join(class_names)}")
    counts = {
        "class_names": None if class_names is None else len(class_names),
        "num_classes": num_classes,
        # {colour: id} does not tell the number of classes: colours may have the same id or be
        # ignored.
        "mask_colors": len(mask_colors) if isinstance(mask_colors, Sequence) else None,
    }
    given = {name: count for name, count in counts.items() if count is not None}
    if not given:
        raise ValueError("Pass `class_names` or `num_classes`: labels are checked against them")
    if len(set(given.values())) > 1:
        raise ValueError(f"The arguments have different numbers of classes. Received: {given}")
    return next(iter(given.values()))
