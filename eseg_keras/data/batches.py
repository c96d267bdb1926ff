"""Batches of images and masks."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from eseg_keras.data.augmentation import Augmentation
from eseg_keras.data.class_weights import PixelWeights
from eseg_keras.data.epoch_batches import Column, EpochBatches
from eseg_keras.data.geometry import fit_window

# Images smaller than the largest of their batch are padded with this grey: after the network's
# input scaling it is close to 0, the value with which convolutions pad.
_PAD_VALUE = 127


class Batches(EpochBatches):
    """The batches of every epoch, as NumPy arrays.

    A batch depends only on (`seed`, epoch, number of the batch): `to_tf_dataset`, `to_py_dataset`
    and `batch` return identical arrays, in whatever order batches are read. So a run can resume in
    the middle of an epoch, and the shards of several workers add up to the batches of a single
    process.

    Sizes:

    - with `augmentation`, every example is cropped to `image_size`;
    - with `image_size` alone, every example is scaled to fit into it, keeping its aspect ratio, and
      padded: the image with its mean, the mask with `ignore_label`;
    - with neither, examples keep their own size. Those smaller than the largest of their batch are
      padded at the right and at the bottom: the image with grey, the mask with `ignore_label`.
      Padding changes scores slightly; with `batch_size=1`, nothing is padded.

    Args:
        read_example: Function of an index in [0, num_examples) that returns the image, uint8 or
            float32 [H, W, C], and its mask, uint8 [H, W]. It is called from several threads, and
            must not change arrays that it has returned.
        num_examples: Number of examples.
        image_size: (height, width) of the batches, or None for each example's own size.
        batch_size: Examples per batch, summed over all shards.
        augmentation: Augmentation of each example; requires `image_size`.
        shuffle: Whether to shuffle the examples, in a different order in each epoch.
        seed: Seed of shuffling and augmentation, 0 or above.
        class_weights: Weight of each class, [num_classes]. With weights, batches are (images,
            masks, sample weights).
        ignore_label: Label of ignored pixels.
        drop_remainder: Whether to drop the last batch if it is smaller than `batch_size`.
        cache: Whether to keep the examples in memory, as read (before augmentation). A number
            limits this memory, in bytes; examples that do not fit are read again.
        name_example: Function of an index that returns the name of the example for messages, such
            as its file. By default, names are `"example 17"` etc.
        skip_bad_examples: Whether an unusable example (`read_example` raises ValueError or OSError,
            or returns invalid arrays) is replaced by the next usable one, logged once, and added to
            `skipped`. Without `shuffle`, all pixels of the replacement have the ignore label, so
            that scores do not change. By default, an unusable example raises an error.
        shard: (worker, number of workers): return only this worker's part of every batch. The parts
            of all workers together are the complete batch; the sizes of the parts differ by at most
            one example.

    Attributes:
        skipped: {name of a skipped example: problem}.
        error: The exception that stopped the reading, or None. A `tf.data.Dataset` raises a
            TensorFlow error instead, which contains only the text of this exception.

    Raises:
        ValueError: If an argument is out of range, or a shard of a batch would be empty.
        ImageFileError: If the first example cannot be used or, with `skip_bad_examples`, if no
            example can be used.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.data import Augmentation, Batches
    >>> def read_example(index):
    ...     return np.full((40, 60, 3), index, np.uint8), np.zeros((40, 60), np.uint8)
    >>> batches = Batches(read_example, 5, image_size=(32, 32), batch_size=2, shuffle=True,
    ...                   augmentation=Augmentation())
    >>> images, masks = batches.batch(epoch=3, batch=0)
    >>> len(batches), images.shape
    (3, (2, 32, 32, 3))
    >>> batches.names(epoch=3, batch=0)
    ['example 3', 'example 0']
    """

    def __init__(
        self,
        read_example: Callable[[int], tuple[np.ndarray, np.ndarray]],
        num_examples: int,
        *,
        image_size: tuple[int, int] | None = None,
        batch_size: int = 8,
        augmentation: Augmentation | None = None,
        shuffle: bool = False,
        seed: int = 0,
        class_weights: Sequence[float] | np.ndarray | None = None,
        ignore_label: int = 255,
        drop_remainder: bool = False,
        cache: bool | int = False,
        name_example: Callable[[int], str] | None = None,
        skip_bad_examples: bool = False,
        shard: tuple[int, int] = (0, 1),
    ):
        super().__init__(
            num_examples,
            image_size=image_size,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            drop_remainder=drop_remainder,
            skip_bad_examples=skip_bad_examples,
            shard=shard,
        )
        if augmentation is not None and image_size is None:
            raise ValueError(
                "Augmentation crops every example to one size: pass `image_size=(height, width)`. "
                "Received: image_size=None"
            )
        if augmentation is not None and augmentation.ignore_label != ignore_label:
            raise ValueError(
                "Pass the same `ignore_label` here and to `Augmentation`. Received: "
                f"ignore_label={ignore_label} and {augmentation}"
            )
        self.augmentation = augmentation
        self.ignore_label = ignore_label
        self._weigh = None if class_weights is None else PixelWeights(class_weights, ignore_label)
        self._read_example = _cached(read_example, cache) if cache else read_example
        self._name_example = name_example or "example {}".format
        # All images must have the dtype and number of channels of the first example.
        self._image_form = None
        image, _ = self._read_usable(0)
        self._image_form = dtype, num_channels = image.dtype, image.shape[-1]
        size = self.image_size or (None, None)
        self.columns = (
            Column(dtype, (*size, num_channels), _PAD_VALUE),
            Column(np.dtype(np.uint8), size, ignore_label),
        )
        if class_weights is not None:
            self.columns += (Column(np.dtype(np.float32), size),)

    def name(self, index: int) -> str:
        """Return the name of an example for messages, from `name_example`."""
        return self._name_example(index)

    def _replacement(self, example):
        # Scores are computed from unshuffled batches: ignore all pixels of the replacement, so that
        # its example is not counted twice.
        image, mask = example
        return example if self.shuffle else (image, np.full_like(mask, self.ignore_label))

    def _read(self, index):
        image, mask = map(np.asarray, self._read_example(index))
        received = (
            f"Received: image {image.dtype} {list(image.shape)}, "
            f"mask {mask.dtype} {list(mask.shape)}"
        )
        if (
            image.dtype not in (np.uint8, np.float32)
            or mask.dtype != np.uint8
            or image.ndim != 3
            or image.shape[:2] != mask.shape
        ):
            raise ValueError(
                "must be an image, uint8 or float32 [H, W, C], and a mask, uint8 [H, W]. "
                + received
            )
        if self._image_form not in (None, (image.dtype, image.shape[-1])):
            dtype, num_channels = self._image_form
            raise ValueError(
                f"must be {dtype} with {num_channels} channels, like the first example. {received}"
            )
        return image, mask

    def _transform(self, rng, image, mask):
        if self.augmentation is not None:
            image, mask = self.augmentation(image, mask, self.image_size, rng)
        elif self.image_size is not None:
            image, mask = fit_window(image, mask, self.image_size, ignore_label=self.ignore_label)
        return (image, mask) if self._weigh is None else (image, mask, self._weigh(mask))


def _cached(read_example, limit):
    """Return `read_example` with a cache of `limit` bytes (True: unlimited)."""
    free = math.inf if limit is True else limit
    kept = {}

    def read(index):
        nonlocal free
        example = kept.get(index)
        if example is None:
            example = read_example(index)
            size = sum(array.nbytes for array in map(np.asarray, example))
            if size <= free:
                free -= size
                kept[index] = example
        return example

    return read
