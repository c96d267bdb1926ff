"""Batches of images and labels."""

import numpy as np

from eseg_keras.data.classification.crops import central_crop, random_resized_crop
from eseg_keras.data.epoch_batches import Column, EpochBatches


class ClassificationBatches(EpochBatches):
    """The batches of every epoch: images with one label each, as NumPy arrays.

    A batch depends only on (`seed`, epoch, number of the batch).

    Args:
        examples: Examples of `class_folders` or `imagenet2012`, or any object with `__len__`,
            `read(index)`, which returns an image, uint8 [H, W, 3], and its label, and
            `name(index)`, which returns a name for messages.
        image_size: (height, width) of the batches.
        augment: Whether to use random crops, flipped with probability 0.5, instead of central
            crops.
        batch_size, shuffle, seed, drop_remainder, skip_bad_examples, shard: See `Batches`.

    Attributes:
        skipped, error: See `Batches`.

    Raises:
        ValueError: If an argument is out of range, or a shard of a batch would be empty.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.data.classification import ClassificationBatches
    >>> class Examples:
    ...     def __len__(self):
    ...         return 5
    ...     def read(self, index):
    ...         return np.full((40, 60, 3), index, np.uint8), index % 2
    ...     def name(self, index):
    ...         return f"image {index}"
    >>> batches = ClassificationBatches(Examples(), (32, 32), batch_size=2, augment=True)
    >>> images, labels = batches.batch(epoch=0, batch=1)
    >>> images.shape, labels.tolist(), batches.names(0, 1)
    ((2, 32, 32, 3), [0, 1], ['image 2', 'image 3'])
    """

    def __init__(
        self,
        examples,
        image_size: tuple[int, int],
        *,
        batch_size: int = 8,
        augment: bool = False,
        shuffle: bool = False,
        seed: int = 0,
        drop_remainder: bool = False,
        skip_bad_examples: bool = False,
        shard: tuple[int, int] = (0, 1),
    ):
        super().__init__(
            len(examples),
            image_size=image_size,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            drop_remainder=drop_remainder,
            skip_bad_examples=skip_bad_examples,
            shard=shard,
        )
        self.examples = examples
        self.augment = augment
        self.columns = (
            Column(np.dtype(np.uint8), (*self.image_size, 3)),
            Column(np.dtype(np.int32), ()),
        )

    def name(self, index: int) -> str:
        """Return the name of an example for messages."""
        return self.examples.name(index)

    def _read(self, index):
        return self.examples.read(index)

    def _transform(self, rng, image, label):
        if self.augment:
            image = random_resized_crop(image, self.image_size, rng)
        else:
            image = central_crop(image, self.image_size)
        return image, np.int32(label)
