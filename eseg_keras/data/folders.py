"""Training data from a folder of images and a folder of masks, in one call."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eseg_keras.data.augmentation import Augmentation
from eseg_keras.data.folder_examples import open_folders
from eseg_keras.data.images.image_reader import MAX_PIXELS
from eseg_keras.data.images.mask_reader import Color

if TYPE_CHECKING:
    import tensorflow as tf


def from_folders(
    images: str | Path,
    masks: str | Path,
    *,
    class_names: Sequence[str] | None = None,
    num_classes: int | None = None,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 8,
    augment: bool | Augmentation = False,
    shuffle: bool = True,
    seed: int = 0,
    class_weights: str | Sequence[float] | np.ndarray | None = None,
    ignore_label: int = 255,
    class_map: Mapping[int, int] | None = None,
    mask_colors: Mapping[Color, int] | Sequence[Color] | None = None,
    reduce_zero_label: bool = False,
    mask_suffix: str = "",
    image_suffix: str = "",
    long_side: int | None = None,
    drop_remainder: bool = False,
    cache: bool | int = False,
    skip_bad_examples: bool = False,
    shard: tuple[int, int] = (0, 1),
    check: bool = True,
    verbose: bool = True,
    max_pixels: int = MAX_PIXELS,
    image_range: tuple[float, float] | None = None,
    first_frame: bool = False,
    initial_epoch: int = 0,
) -> "tf.data.Dataset":
    """Return a `tf.data.Dataset` of a folder of images and a folder of masks.

    Short for `open_folders(...).batches(...).to_tf_dataset(initial_epoch)`.

    Args:
        images: Folder of the images (JPEG, PNG, BMP, WebP, TIFF, ...).
        masks: Folder of the masks (PNG, BMP, lossless WebP), paired with the images by name.
        class_names, num_classes, ignore_label, class_map, mask_colors, reduce_zero_label: The
            classes, and how the masks encode them; see `open_folders`.
        mask_suffix, image_suffix, long_side, skip_bad_examples, check, verbose, max_pixels,
            image_range, first_frame: How the files are read and checked; see `open_folders`.
        image_size, batch_size, augment, seed, class_weights, drop_remainder, cache, shard: How the
            examples become batches; see `Examples.batches`.
        shuffle: Whether to shuffle the examples, in a different order in each epoch. Defaults to
            True, for training; with False, examples are in the order of their file names.
        initial_epoch: Number of the first epoch, for a run that resumes.

    Returns:
        A `tf.data.Dataset` of known length. Its batches are (images uint8 [B, H, W, 3], masks uint8
        [B, H, W]), with sample weights float32 [B, H, W] if `class_weights` is given. Each complete
        iteration over the dataset is an epoch; see `Batches.to_tf_dataset`.

    Raises:
        FolderError: If images and masks do not pair, or files cannot be used; the message lists
            all problems.
        ValueError: If an argument is out of range, or contradicts another argument.

    Example:

    >>> import tempfile
    >>> from PIL import Image
    >>> from eseg_keras.data import from_folders
    >>> folder = tempfile.mkdtemp()
    >>> Image.new("RGB", (64, 48)).save(f"{folder}/one.jpg")
    >>> Image.new("L", (64, 48)).save(f"{folder}/one_mask.png")
    >>> dataset = from_folders(folder, folder, mask_suffix="_mask", class_names=["road", "sky"],
    ...                        augment=True, image_size=(32, 32))
    >>> next(iter(dataset))[1].shape
    TensorShape([1, 32, 32])
    """
    examples = open_folders(
        images,
        masks,
        class_names=class_names,
        num_classes=num_classes,
        ignore_label=ignore_label,
        class_map=class_map,
        mask_colors=mask_colors,
        reduce_zero_label=reduce_zero_label,
        mask_suffix=mask_suffix,
        image_suffix=image_suffix,
        long_side=long_side,
        skip_bad_examples=skip_bad_examples,
        check=check,
        verbose=verbose,
        max_pixels=max_pixels,
        image_range=image_range,
        first_frame=first_frame,
    )
    batches = examples.batches(
        image_size=image_size,
        batch_size=batch_size,
        augment=augment,
        shuffle=shuffle,
        seed=seed,
        class_weights=class_weights,
        drop_remainder=drop_remainder,
        cache=cache,
        skip_bad_examples=skip_bad_examples,
        shard=shard,
    )
    return batches.to_tf_dataset(initial_epoch)
