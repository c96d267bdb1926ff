"""Street scenes as `Examples`, as a `tf.data.Dataset` and as images without masks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from eseg_keras.data.augmentation import Augmentation
from eseg_keras.data.examples import Examples
from eseg_keras.street_scenes.materials import CLASS_NAMES, IGNORE_LABEL, PALETTE
from eseg_keras.street_scenes.scene import check_split, render_scene

if TYPE_CHECKING:
    import tensorflow as tf

_log = logging.getLogger("eseg_keras")

_DEFAULT_NUM_EXAMPLES = {"train": 2000, "validation": 100, "test": 100}
"""Default number of scenes of each split; any number of scenes can be rendered."""


class StreetScenes(Examples):
    """Synthetic street scenes; each scene is rendered when it is read.

    A scene depends only on the image size, the seed, the split and the index, so that all epochs
    and machines get the same images. The splits are disjoint.

    Args:
        split: `"train"`, `"validation"` or `"test"`. Defaults to `"train"`.
        num_examples: Number of scenes. Defaults to 2000 for training and 100 for other splits.
        image_size: (height, width) in pixels, each at least 32. Defaults to (192, 384).
        seed: Seed of the scenes. Defaults to 0.

    Raises:
        ValueError: If the split is unknown.

    Example:

    >>> from eseg_keras.street_scenes import StreetScenes
    >>> batches = StreetScenes("validation", num_examples=4).batches(batch_size=2)
    >>> images, masks = batches.batch(epoch=0, batch=0)
    >>> images.shape, masks.shape
    ((2, 192, 384, 3), (2, 192, 384))
    """

    class_names = CLASS_NAMES
    palette = PALETTE
    num_classes = len(CLASS_NAMES)
    ignore_label = IGNORE_LABEL

    def __init__(
        self,
        split: str = "train",
        num_examples: int | None = None,
        image_size: tuple[int, int] = (192, 384),
        seed: int = 0,
    ):
        check_split(split)
        self.split = split
        self.num_examples = _DEFAULT_NUM_EXAMPLES[split] if num_examples is None else num_examples
        self.image_size = tuple(image_size)
        self.seed = seed

    def __len__(self) -> int:
        return self.num_examples

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Render a scene; return the image, uint8 [H, W, 3], and the mask, uint8 [H, W]."""
        return render_scene(index, self.split, self.image_size, self.seed)

    def name(self, index: int) -> str:
        """Return the name of a scene, for messages."""
        return f"street scene {index}"


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
    cache: bool | int = False,
) -> tf.data.Dataset:
    """Return a `tf.data.Dataset` of street scenes; short for `StreetScenes(...).batches(...)`.

    Args:
        split, num_examples, image_size: See `StreetScenes`.
        batch_size, augment, class_weights, drop_remainder: See `Examples.batches`.
        shuffle: Whether to shuffle the scenes, in a different order each epoch. Defaults to True
            for `"train"` and False for other splits.
        seed: Seed of the scenes, of their order and of the augmentation. Defaults to 0.
        initial_epoch: Number of the first epoch, to resume a run. Defaults to 0.
        cache: Whether to keep rendered scenes in memory (0.3 MB each at the default size) instead
            of rendering them again every epoch. A number limits this memory, in bytes. Defaults to
            False.

    Returns:
        A tf.data.Dataset of (uint8 images [B, H, W, 3], uint8 masks [B, H, W]) and, with
        `class_weights`, float32 sample weights [B, H, W]. Labels are indices into `CLASS_NAMES`, or
        255 for void.

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
    batches = StreetScenes(split, num_examples, image_size, seed).batches(
        batch_size=batch_size,
        augment=augment,
        shuffle=split == "train" if shuffle is None else shuffle,
        seed=seed,
        class_weights=class_weights,
        drop_remainder=drop_remainder,
        cache=cache,
    )
    return batches.to_tf_dataset(initial_epoch)


def scene_images(
    split: str, count: int, size: tuple[int, int], channels: int = 3
) -> list[np.ndarray]:
    """Render the first images of a split.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        count: Number of images.
        size: (height, width) in pixels, each at least 32.
        channels: Number of channels; channels after the third repeat RGB. Defaults to 3.

    Returns:
        List of uint8 arrays [H, W, channels].

    Example:

    >>> from eseg_keras.street_scenes import scene_images
    >>> [image.shape for image in scene_images("test", 2, (32, 48))]
    [(32, 48, 3), (32, 48, 3)]
    """
    images = [render_scene(index, split, tuple(size))[0] for index in range(count)]
    return [image[..., np.arange(channels) % 3] for image in images]


def calibration_scenes(size: tuple[int, int], channels: int = 3) -> list[np.ndarray]:
    """Render images to calibrate 8-bit exports, and warn that images of the task are better.

    Args:
        size: (height, width) in pixels, each at least 32.
        channels: Number of channels. Defaults to 3.

    Returns:
        List of 24 uint8 arrays [H, W, channels], from the training split.
    """
    _log.warning(
        "The 8-bit ranges are calibrated on synthetic street scenes. For better label maps, pass "
        "images of the network's task as calibration_images."
    )
    return scene_images("train", 24, size, channels)
