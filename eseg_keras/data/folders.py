"""Training data from a folder of photos and a folder of masks."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eseg_keras.data.augmentation import Augmentation
from eseg_keras.data.batches import Batches
from eseg_keras.data.class_weights import balanced_class_weights
from eseg_keras.data.folder_checks import pair_files
from eseg_keras.data.folder_examples import FolderExamples
from eseg_keras.data.geometry import scaled
from eseg_keras.data.label_maps import Color, LabelReader

if TYPE_CHECKING:
    import tensorflow as tf

log = logging.getLogger(__name__)


def open_folders(
    images: str | Path,
    masks: str | Path,
    *,
    class_names: Sequence[str] | None = None,
    num_classes: int | None = None,
    ignore_label: int = 255,
    label_map: Mapping[int, int] | None = None,
    mask_colors: Mapping[Color, int] | Sequence[Color] | None = None,
    reduce_zero_label: bool = False,
    mask_suffix: str = "",
    long_side: int | None = None,
    skip_bad_examples: bool = False,
    check: bool = True,
    verbose: bool = True,
) -> FolderExamples:
    """Pair a folder of photos with a folder of masks, and check every file.

    Photos (JPEG, PNG, BMP, WebP) and masks (PNG, BMP, lossless WebP) pair by name; folders inside
    the two correspond. A mask holds class ids as grey values or palette indices, or colours with
    `mask_colors`. Every file is read once, and every file with a fault is reported in one error.

    With two classes, masks that hold nothing but 0 and 255 are taken for black and white: 255 is
    class 1 (and not the ignore label, which would leave that class without a pixel in the whole
    folder). A log line says so. `label_map={255: 1}` or `{255: 255}` decides it by hand.

    Args:
        images: Folder of the photos. Their EXIF rotation is applied.
        masks: Folder of the masks.
        class_names: Names of the classes in the order of their ids.
        num_classes: Number of classes, at most 255, where there are no names.
        ignore_label: Label of the pixels that count nowhere, in the files and in the result.
        label_map: {id in the files: new id}; a new id may be `ignore_label`.
        mask_colors: {(red, green, blue): id}, or the colours in class order. Any other colour is an
            error.
        reduce_zero_label: Whether id 0 means "no label" and classes begin at 1 (see `LabelReader`
            for the order of these three).
        mask_suffix: What the name of a mask adds to that of its photo, such as `"_labelIds"`.
        long_side: Pixels that the longer side of photo and mask is resized to first.
        skip_bad_examples: Whether files that cannot be used are logged, instead of being an error.
        check: Whether to read every file now. Without, a faulty file is found when it is reached,
            and black and white masks are not recognised.
        verbose: Whether the check shows a progress bar if there are many files.

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
        mask_colors=mask_colors, reduce_zero_label=reduce_zero_label, ignore_label=ignore_label
    )
    examples = FolderExamples(
        *pair_files(images, masks, mask_suffix),
        LabelReader(num_classes, label_map=label_map, **label_options),
        num_classes,
        long_side,
    )
    if not check:
        return examples
    summary = examples.check(verbose, skip_bad_examples)
    counts = summary.label_counts
    if label_map is None and num_classes == 2 and ignore_label == 255 and not reduce_zero_label:
        # Valid labels are 0, 1 and 255 here: without a 1 in the whole folder, 255 is the 1.
        if counts[1] == 0 and counts[255] > 0:
            log.warning("The masks in %s are black and white: 255 is read as class 1.", masks)
            black_and_white = LabelReader(2, label_map={255: 1}, **label_options)
            examples = replace(examples, read_labels=black_and_white)
            counts[[1, 255]] = counts[[255, 1]]
    counts[ignore_label] = 0
    return replace(examples, summary=summary)


def folder_batches(
    images: str | Path,
    masks: str | Path,
    *,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 8,
    ignore_label: int = 255,
    augment: bool | Augmentation = False,
    shuffle: bool = True,
    seed: int = 0,
    class_weights: str | Sequence[float] | np.ndarray | None = None,
    drop_remainder: bool = False,
    cache: bool = False,
    skip_bad_examples: bool = False,
    shard: tuple[int, int] = (0, 1),
    check: bool = True,
    **reading: Any,
) -> Batches:
    """Make batches of a folder of photos and a folder of masks.

    Args:
        images: Folder of the photos.
        masks: Folder of the masks; see `open_folders` for what the two may hold.
        image_size: (height, width) of the batches. With `augment`, what is cropped at random;
            without, every photo is scaled to fit whole and filled. None keeps the photos' own
            sizes (see `Batches`); with `augment` it needs photos of one size.
        batch_size: Photos a batch.
        ignore_label: Label of the pixels that count nowhere, in the files and in the result.
        augment: Whether to scale, crop and flip at random, or the `Augmentation` to use.
        shuffle: Whether each epoch has an order of its own. Defaults to True, for training; pass
            False to line predictions up with the files, which are then in the order of their
            names.
        seed: Seed of order and augmentation.
        class_weights: Weight of each class, [num_classes], or `"balanced"` to compute them from the
            masks (see `balanced_class_weights`). Batches then have sample weights as well.
        drop_remainder: Whether to leave out a last, smaller batch.
        cache: Whether to keep the decoded photos and masks in memory.
        skip_bad_examples: Whether an example that cannot be used is replaced by the next one that
            can, and logged, instead of being an error (see `Batches`).
        shard: (worker, number of workers), to have one worker's part of every batch.
        check: Whether to read every file before training.
        **reading: `class_names` or `num_classes`, and what else `open_folders` takes.

    Returns:
        `Batches` of images uint8 [B, H, W, 3] and masks uint8 [B, H, W], with sample weights
        float32 [B, H, W] where `class_weights` is given. It reads one batch at a time, or becomes
        a `tf.data.Dataset` or a `keras.utils.PyDataset`.

    Raises:
        FolderError: If photos and masks do not pair, or files cannot be used; its message lists
            them with what to do, and `problems` holds them all.
        ValueError: If an argument is out of range, or contradicts another.
        TypeError: If there is no such option.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from eseg_keras.data.folders import folder_batches
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("images", "masks"):
    ...     (folder / name).mkdir()
    >>> Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(folder / "images/one.jpg")
    >>> Image.fromarray(np.ones((48, 64), np.uint8)).save(folder / "masks/one.png")
    >>> batches = folder_batches(folder / "images", folder / "masks", num_classes=2)
    >>> for images, masks in batches.to_py_dataset():
    ...     print(images.shape, masks.shape)
    (1, 48, 64, 3) (1, 48, 64)
    """
    balanced = isinstance(class_weights, str)
    if balanced and (class_weights != "balanced" or not check):
        raise ValueError(
            "`class_weights` must be a weight for each class, 'balanced' (which needs check=True), "
            f"or None. Received: class_weights={class_weights!r}, check={check}"
        )
    examples = open_folders(
        images,
        masks,
        ignore_label=ignore_label,
        skip_bad_examples=skip_bad_examples,
        check=check,
        **reading,
    )
    num_classes = examples.num_classes
    if class_weights is not None and not balanced and len(class_weights) != num_classes:
        raise ValueError(
            f"`class_weights` must hold {num_classes} weights, one a class. "
            f"Received: {len(class_weights)} weights"
        )
    if balanced:
        class_weights = balanced_class_weights(examples.summary.label_counts[:num_classes])
    if image_size is None and check and len(examples.summary.image_sizes) == 1:
        (image_size,) = examples.summary.image_sizes
        if examples.long_side is not None:
            image_size = scaled(image_size, examples.long_side / max(image_size))
    if augment and image_size is None:
        raise ValueError(
            f"The photos in {images} differ in size (or were not checked), and augmentation crops "
            "them all to one: pass `image_size=(height, width)`. Received: image_size=None"
        )
    if augment is True:
        augment = Augmentation(ignore_label=ignore_label)
    return Batches(
        examples.read,
        len(examples),
        image_size=image_size,
        batch_size=batch_size,
        augmentation=augment or None,
        shuffle=shuffle,
        seed=seed,
        class_weights=class_weights,
        ignore_label=ignore_label,
        drop_remainder=drop_remainder,
        cache=cache,
        name_example=examples.name,
        skip_bad_examples=skip_bad_examples,
        shard=shard,
    )


def from_folders(
    images: str | Path, masks: str | Path, *, initial_epoch: int = 0, **options: Any
) -> "tf.data.Dataset":
    """Build a `tf.data.Dataset` from a folder of photos and a folder of masks.

    This is `folder_batches(...).to_tf_dataset(initial_epoch)`: see `open_folders` for what the
    folders may hold, `folder_batches` for the rest and for the same batches without TensorFlow.

    Args:
        images: Folder of the photos (JPEG, PNG, BMP, WebP).
        masks: Folder of the masks (PNG, BMP, lossless WebP), which pair with the photos by name.
        initial_epoch: Number of the first epoch, of a run that goes on.
        **options: `class_names` or `num_classes`; `label_map`, `mask_colors`, `reduce_zero_label`,
            `ignore_label` and `mask_suffix` for what the masks hold; `image_size`, `long_side`,
            `batch_size`, `augment`, `shuffle` (True unless told), `seed`, `class_weights`,
            `drop_remainder`, `cache`, `skip_bad_examples`, `shard`, `check` and `verbose` of
            `folder_batches` and `open_folders`.

    Returns:
        A dataset of (images uint8 [B, H, W, 3], masks uint8 [B, H, W]) batches of known number,
        with sample weights float32 [B, H, W] where `class_weights` is given. Iterating again gives
        the next epoch.

    Raises:
        FolderError: If photos and masks do not pair, or files cannot be used; its message lists
            them with what to do, and `problems` holds them all.
        ValueError: If an argument is out of range, or contradicts another.
        TypeError: If there is no such option.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from eseg_keras.data import from_folders
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("images", "masks"):
    ...     (folder / name).mkdir()
    >>> Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(folder / "images/one.jpg")
    >>> Image.fromarray(np.ones((48, 64), np.uint8)).save(folder / "masks/one.png")
    >>> dataset = from_folders(folder / "images", folder / "masks", class_names=["road", "sky"],
    ...                        augment=True, image_size=(32, 32))
    >>> next(iter(dataset))[1].shape
    TensorShape([1, 32, 32])
    """
    return folder_batches(images, masks, **options).to_tf_dataset(initial_epoch)


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
