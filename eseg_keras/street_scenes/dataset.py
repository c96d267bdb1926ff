"""Street scenes as a tf.data pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eseg_keras.data.augmentation import Augmentation
from eseg_keras.data.pipeline import build_dataset
from eseg_keras.street_scenes.scene import check_split, render_scene

if TYPE_CHECKING:
    import tensorflow as tf

DEFAULT_NUM_EXAMPLES = {"train": 2000, "validation": 100, "test": 100}
"""Default number of scenes per split; a split may have any number."""


def street_scenes(
    split: str = "train",
    num_examples: int | None = None,
    image_size: tuple[int, int] = (192, 384),
    batch_size: int = 8,
    augment: bool | Augmentation = False,
    shuffle: bool | None = None,
    seed: int = 0,
    *,
    class_weights: Sequence[float] | None = None,
    initial_epoch: int = 0,
    drop_remainder: bool = False,
    cache: bool = False,
) -> tf.data.Dataset:
    """Build a tf.data.Dataset of street scenes that are rendered as they are read.

    A scene is a function of the seed, its split and its index: all epochs and all machines see the
    same scenes, and no scene of one split is in another.

    Args:
        split: `"train"`, `"validation"` or `"test"`. Defaults to `"train"`.
        num_examples: Number of scenes. Defaults to 2000 for training and 100 for the others.
        image_size: (height, width) in pixels, each at least 32. Defaults to (192, 384).
        batch_size: Scenes per batch. Defaults to 8.
        augment: Whether to rescale, crop and flip the scenes at random, or an `Augmentation` with
            the settings. Defaults to False.
        shuffle: Whether to shuffle the scenes anew every epoch. Defaults to True for `"train"` and
            False for the others.
        seed: Seed of the scenes, of their order and of the augmentation. Defaults to 0.
        class_weights: Weight of each class, [8]; batches then hold sample weights, too.
        initial_epoch: Number of the first epoch, to resume a run. Defaults to 0.
        drop_remainder: Whether to skip a last, smaller batch. Defaults to False.
        cache: Whether to keep rendered scenes in memory (0.3 MB each at the default size) instead
            of rendering them anew every epoch. Defaults to False.

    Returns:
        A tf.data.Dataset of (uint8 images [B, H, W, 3], uint8 masks [B, H, W]) with labels in the
        order of `CLASS_NAMES`, and 255 for void.

    Raises:
        ValueError: If the split is unknown or a number is out of range.
        ImportError: If TensorFlow is not installed.

    Example:

    >>> from eseg_keras.street_scenes import street_scenes
    >>> dataset = street_scenes("validation", num_examples=4, batch_size=2)
    >>> images, masks = next(iter(dataset))
    >>> images.shape, masks.shape
    (TensorShape([2, 192, 384, 3]), TensorShape([2, 192, 384]))
    """
    check_split(split)
    if num_examples is None:
        num_examples = DEFAULT_NUM_EXAMPLES[split]
    if isinstance(augment, bool):
        augment = Augmentation() if augment else None
    return build_dataset(
        lambda index: render_scene(index, split, image_size, seed),
        num_examples,
        image_size=image_size,
        batch_size=batch_size,
        augmentation=augment,
        shuffle=split == "train" if shuffle is None else shuffle,
        seed=seed,
        initial_epoch=initial_epoch,
        class_weights=class_weights,
        drop_remainder=drop_remainder,
        cache=cache,
    )
