"""Batches of photos and masks: the one place that says what is in them."""

from collections.abc import Callable, Sequence

import numpy as np

from eseg_keras.data.augmentation import Augmentation
from eseg_keras.data.batch_arguments import check_counts, check_sizes
from eseg_keras.data.batch_order import BatchOrder
from eseg_keras.data.class_weights import PixelWeights
from eseg_keras.data.epoch_batches import Column, EpochBatches
from eseg_keras.data.example_reader import ExampleReader
from eseg_keras.data.geometry import fit_window

# What fills the images of a batch up to the largest: mid-grey, which the network's input scaling
# takes close to the zeros that its convolutions pad with.
PAD_VALUE = 127


class Batches(EpochBatches):
    """The batches of every epoch, in NumPy alone.

    A batch is a function of (`seed`, epoch, number of the batch) and of nothing else. What it
    holds does not depend on what was read before, on how many threads read, or on whether it is
    taken through `to_tf_dataset`, `to_py_dataset` or `batch`: all three give the same arrays, bit
    for bit. So a run goes on in the middle of an epoch as if it had never stopped, and the shards
    of several workers together are what one process would have seen.

    Sizes:

    - with `augmentation`, every example is cropped to `image_size`;
    - with `image_size` alone, every example is scaled to fit it whole, its aspect ratio kept, and
      the rest is filled: the image with its mean, the mask with `ignore_label`;
    - with neither, examples keep their own size. Those smaller than the largest of their batch are
      filled at the right and at the bottom: the image with grey, the mask with `ignore_label`.
      Scores are then exact with `batch_size=1`, where nothing is filled.

    Args:
        read_example: Function of an index in [0, num_examples) that returns the image, uint8 or
            float32 [H, W, C], and its mask, uint8 [H, W]. It is called from several threads and
            must not keep what it returned for writing.
        num_examples: Number of examples.
        image_size: (height, width) of the batches, or None for each example's own size.
        batch_size: Examples a batch, those of all shards together.
        augmentation: Random changes of each example; needs `image_size`.
        shuffle: Whether each epoch has an order of its own.
        seed: Seed of order and augmentation, 0 or above.
        class_weights: Weight of each class, [num_classes]. With it, batches are (images, masks,
            sample weights).
        ignore_label: Label of the pixels that count nowhere.
        drop_remainder: Whether to leave out a last, smaller batch.
        cache: Whether to keep what `read_example` returns in memory (before augmentation).
        name_example: Function of an index that returns what to call the example in messages, such
            as its file. Defaults to `"example 17"`.
        skip_bad_examples: Whether an example that cannot be read (`read_example` raises a
            ValueError or an OSError, or returns something else) is replaced by the next one that
            can. The log names it once, and `skipped` holds it. Defaults to an error that names it.
        shard: (worker, number of workers): this object gives the worker's part of every batch. The
            parts one after the other are the whole batch; they differ by one example at most.
            (Examples of their own sizes are filled up to the largest of the part.)

    Attributes:
        error: The exception that stopped the reading, or None. A `tf.data.Dataset` can only pass
            on its text, inside a longer one.

    Raises:
        ValueError: If an argument is out of range, or a shard of a batch would be empty.
        ImageFileError: If the first example (the first readable one with `skip_bad_examples`)
            cannot be used.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.data import Augmentation
    >>> from eseg_keras.data.batches import Batches
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
        cache: bool = False,
        name_example: Callable[[int], str] | None = None,
        skip_bad_examples: bool = False,
        shard: tuple[int, int] = (0, 1),
    ):
        check_counts(num_examples=(num_examples, 1), batch_size=(batch_size, 1), seed=(seed, 0))
        check_sizes(image_size, augmentation, ignore_label)
        self.num_examples = num_examples
        self.image_size = None if image_size is None else tuple(image_size)
        self.augmentation = augmentation
        self.seed = seed
        self.ignore_label = ignore_label
        self._weigh = None if class_weights is None else PixelWeights(class_weights, ignore_label)
        self.error: Exception | None = None
        order = BatchOrder(
            num_examples,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            drop_remainder=drop_remainder,
            shard=shard,
        )
        self._read = ExampleReader(
            read_example,
            num_examples,
            cache=cache,
            name_example=name_example,
            skip_bad_examples=skip_bad_examples,
        )
        size = self.image_size or (None, None)
        columns = [
            Column(self._read.image_dtype, (*size, self._read.num_channels), PAD_VALUE),
            Column(np.dtype(np.uint8), size, ignore_label),
        ]
        if class_weights is not None:
            columns.append(Column(np.dtype(np.float32), size))
        super().__init__(order, columns)

    @property
    def skipped(self) -> dict[str, str]:
        """{name of an example: what is wrong with it}, of those skipped so far."""
        return self._read.skipped

    def name(self, index: int) -> str:
        """What to call an example in messages: what `name_example` says."""
        return self._read.name(index)

    def load(self, epoch: int, index: int) -> tuple[np.ndarray, ...]:
        """Read an example as it is in an epoch: augmented or scaled to size, and weighed.

        Args:
            epoch: Number of the epoch, from 0.
            index: Which example.

        Returns:
            The image [H, W, C] and the mask uint8 [H, W]; with `class_weights` sample weights
            float32 [H, W] as well, 0 at ignored pixels. A batch has one more axis in front.

        Raises:
            ImageFileError: If the example cannot be used; it names the example.
        """
        epoch, index = int(epoch), int(index)
        try:
            image, mask = self._read(index)
            if self.augmentation is not None:
                # 0 is the order of the epoch; see `BatchOrder`.
                rng = np.random.default_rng([self.seed, epoch, 1 + index])
                image, mask = self.augmentation(image, mask, self.image_size, rng)
            elif self.image_size is not None:
                image, mask = fit_window(
                    image, mask, self.image_size, ignore_label=self.ignore_label
                )
            arrays = (image, mask)
            if self._weigh is not None:
                arrays += (self._weights(mask, index),)
            return tuple(map(np.ascontiguousarray, arrays))
        except Exception as error:
            self.error = error
            raise

    def _weights(self, mask, index):
        try:
            return self._weigh(mask)
        except ValueError as error:
            raise ValueError(f"{self._read.name(index)}: {error}") from error
