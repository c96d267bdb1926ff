"""Batches of images and labels."""

import logging

import numpy as np

from eseg_keras.data.batch_arguments import check_counts
from eseg_keras.data.batch_order import BatchOrder
from eseg_keras.data.classification.crops import central_crop, random_resized_crop
from eseg_keras.data.epoch_batches import Column, EpochBatches
from eseg_keras.data.images.image_reader import ImageFileError

log = logging.getLogger(__name__)


class ClassificationBatches(EpochBatches):
    """The batches of every epoch: images and one label each, in NumPy alone.

    A batch is a function of (`seed`, epoch, number of the batch) and of nothing else.

    Args:
        examples: What `class_folders` or `imagenet2012` returns: `len(examples)`,
            `examples.read(index)` gives an image, uint8 [H, W, 3], and its label,
            `examples.name(index)` what to call it.
        image_size: (height, width) of the batches.
        batch_size: Examples a batch, those of all shards together.
        augment: Whether images are random crops, mirrored half of the time, instead of the middle
            of the photo.
        shuffle: Whether each epoch has an order of its own.
        seed: Seed of order and crops, 0 or above.
        drop_remainder: Whether to leave out a last, smaller batch.
        skip_bad_examples: Whether a photo that cannot be read is replaced by the next one that
            can. The log names it once, and `skipped` holds it.
        shard: (worker, number of workers): this object gives the worker's part of every batch.

    Attributes:
        skipped: {name of an example: what is wrong with it}, of those skipped so far.
        error: The exception that stopped the reading, or None. A `tf.data.Dataset` can only pass
            on its text, inside a longer one.

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
    ...         return f"photo {index}"
    >>> batches = ClassificationBatches(Examples(), (32, 32), batch_size=2, augment=True)
    >>> images, labels = batches.batch(epoch=0, batch=1)
    >>> images.shape, labels.tolist(), batches.names(0, 1)
    ((2, 32, 32, 3), [0, 1], ['photo 2', 'photo 3'])
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
        check_counts(num_examples=(len(examples), 1), batch_size=(batch_size, 1), seed=(seed, 0))
        if len(image_size) != 2 or min(image_size) < 1:
            raise ValueError(
                f"`image_size` must be (height, width). Received: image_size={image_size}"
            )
        self.examples = examples
        self.image_size = tuple(image_size)
        self.augment = augment
        self.seed = seed
        self.skip_bad_examples = skip_bad_examples
        self.skipped: dict[str, str] = {}
        self.error: Exception | None = None
        order = BatchOrder(
            len(examples),
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            drop_remainder=drop_remainder,
            shard=shard,
        )
        columns = [
            Column(np.dtype(np.uint8), (*self.image_size, 3)),
            Column(np.dtype(np.int32), ()),
        ]
        super().__init__(order, columns)

    def name(self, index: int) -> str:
        """What to call an example in messages: what `examples.name` says."""
        return self.examples.name(index)

    def load(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read an example as it is in an epoch.

        Args:
            epoch: Number of the epoch, from 0.
            index: Which example.

        Returns:
            The image uint8 [H, W, 3] and its label, an int32 scalar.

        Raises:
            ImageFileError: If the photo cannot be read; it names the photo.
        """
        epoch, index = int(epoch), int(index)
        try:
            image, label = self._read(index)
        except Exception as error:
            self.error = error
            raise
        if self.augment:
            # 0 is the order of the epoch; see `BatchOrder`.
            rng = np.random.default_rng([self.seed, epoch, 1 + index])
            image = random_resized_crop(image, self.image_size, rng)
        else:
            image = central_crop(image, self.image_size)
        return np.ascontiguousarray(image), np.asarray(label, np.int32)

    def _read(self, index):
        """The example, or when skipping the first one after it that can be read."""
        num_examples = len(self.examples)
        for step in range(num_examples):
            place = (index + step) % num_examples
            try:
                return self.examples.read(place)
            except ImageFileError as error:
                if not self.skip_bad_examples or step == num_examples - 1:
                    raise
                if self.name(place) not in self.skipped:
                    log.warning("Skipped an example. %s", error)
                self.skipped[self.name(place)] = str(error)
