"""Training data from a folder of photos and a folder of masks."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eseg_keras.data.augmentation import Augmentation
from eseg_keras.data.batches import Batches
from eseg_keras.data.class_weights import balanced_class_weights
from eseg_keras.data.folder_examples import open_folders
from eseg_keras.data.geometry import scaled

if TYPE_CHECKING:
    import tensorflow as tf


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
        **options: `class_names` or `num_classes`; `class_map`, `mask_colors`, `reduce_zero_label`,
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
