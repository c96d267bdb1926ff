"""tf.data input pipeline over examples read by a Python function."""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from eseg_keras.data.augmentation import Augmentation
from eseg_keras.data.class_weights import PixelWeights
from eseg_keras.data.geometry import fit_window
from eseg_keras.optional import require

if TYPE_CHECKING:
    import tensorflow as tf

# What fills the images of a batch up to the largest: mid-grey, which the network's input scaling
# takes close to the zeros that its convolutions pad with.
PAD_VALUE = 127


def build_dataset(
    read_example: Callable[[int], tuple[np.ndarray, np.ndarray]],
    num_examples: int,
    *,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 8,
    augmentation: Augmentation | None = None,
    shuffle: bool = False,
    seed: int = 0,
    initial_epoch: int = 0,
    class_weights: Sequence[float] | np.ndarray | None = None,
    ignore_label: int = 255,
    drop_remainder: bool = False,
    cache: bool = False,
) -> "tf.data.Dataset":
    """Build a `tf.data.Dataset` ready for `fit`, `evaluate` and `predict`.

    Everything random is a function of (`seed`, epoch, index of the example) alone, so two runs see
    the same batches, however many threads read them. Iterating again gives the next epoch. An epoch
    counts once its last batch has been taken: a look at the first batches (Keras takes one to build
    a model, on some backends) changes nothing. A run that goes on after `n` epochs passes
    `initial_epoch=n` and sees what the uninterrupted run would have seen.

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
        batch_size: Examples a batch.
        augmentation: Random changes of each example; needs `image_size`.
        shuffle: Whether each epoch has an order of its own.
        seed: Seed of order and augmentation, 0 or above.
        initial_epoch: Number of the first epoch.
        class_weights: Weight of each class, [num_classes]. With it, batches are (images, masks,
            sample weights).
        ignore_label: Label of the pixels that count nowhere.
        drop_remainder: Whether to leave out a last, smaller batch.
        cache: Whether to keep what `read_example` returns in memory (before augmentation).

    Returns:
        A dataset of (images [B, H, W, C], masks uint8 [B, H, W]) batches of known number, with
        sample weights float32 [B, H, W] where `class_weights` is given, 0 at ignored pixels.

    Raises:
        ValueError: If an argument is out of range, or the first example is not of this form.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.data import Augmentation, build_dataset
    >>> def read_example(index):
    ...     return np.full((40, 60, 3), index, np.uint8), np.zeros((40, 60), np.uint8)
    >>> dataset = build_dataset(read_example, 5, image_size=(32, 32), batch_size=2,
    ...                         augmentation=Augmentation(), shuffle=True)
    >>> len(dataset), next(iter(dataset))[0].shape
    (3, TensorShape([2, 32, 32, 3]))
    """
    tf = require("tensorflow", "tensorflow")
    if augmentation is not None and augmentation.ignore_label != ignore_label:
        raise ValueError(
            "Pass the same `ignore_label` here and to `Augmentation`. Received: "
            f"ignore_label={ignore_label} and {augmentation}"
        )
    _check_arguments(num_examples, image_size, batch_size, augmentation, seed, initial_epoch)
    first_image, _ = _checked(*read_example(0), index=0)
    if cache:
        read_example = functools.cache(read_example)
    weigh = None if class_weights is None else PixelWeights(class_weights, ignore_label)
    epochs = _Epochs(num_examples, shuffle, seed, initial_epoch)

    def load(epoch, index):
        image, mask = _checked(*read_example(int(index)), index=int(index))
        if augmentation is not None:
            # 0 is the order of the epoch; see _Epochs.order.
            rng = np.random.default_rng([seed, int(epoch), 1 + int(index)])
            image, mask = augmentation(image, mask, image_size, rng)
        elif image_size is not None:
            image, mask = fit_window(image, mask, image_size, ignore_label=ignore_label)
        arrays = (image, mask) if weigh is None else (image, mask, weigh(mask))
        return tuple(np.ascontiguousarray(array) for array in arrays)

    size = (None, None) if image_size is None else tuple(image_size)
    columns = slice(0, 2 if weigh is None else 3)
    dtypes = (tf.as_dtype(first_image.dtype), tf.uint8, tf.float32)[columns]
    shapes = ((*size, first_image.shape[-1]), size, size)[columns]
    padding = (PAD_VALUE, ignore_label, 0)[columns]

    def load_tensors(epoch_and_index):
        epoch, index = tf.unstack(epoch_and_index, num=2)
        tensors = tf.numpy_function(load, [epoch, index], dtypes)
        return epoch, tuple(map(tf.ensure_shape, tensors, shapes))

    def begin_epoch(_):
        order = tf.numpy_function(epochs.order, [], tf.int64)
        return tf.data.Dataset.from_tensor_slices(tf.ensure_shape(order, (num_examples, 2)))

    dataset = tf.data.Dataset.range(1).flat_map(begin_epoch)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(num_examples))
    dataset = dataset.map(load_tensors, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if image_size is not None:
        dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    else:
        fill = (tf.constant(0, tf.int64), tuple(map(tf.cast, padding, dtypes)))
        dataset = dataset.padded_batch(
            batch_size, padding_values=fill, drop_remainder=drop_remainder
        )
    last = int(dataset.cardinality()) - 1
    if last < 0:
        raise ValueError(
            "`drop_remainder` leaves no batch: there are fewer examples than a batch takes. "
            f"Received: num_examples={num_examples}, batch_size={batch_size}"
        )

    def end_epoch(position, epoch_and_batch):
        # After the prefetch, so that it happens when the last batch is taken and not when it is
        # made ready. The control dependency keeps the call in the graph.
        epoch, batch = epoch_and_batch
        end = tf.numpy_function(epochs.end, [epoch[0], position == last], [])
        with tf.control_dependencies([end]):
            return tf.nest.map_structure(tf.identity, batch)

    return dataset.prefetch(tf.data.AUTOTUNE).enumerate().map(end_epoch)


class _Epochs:
    """Counts epochs, and knows the order of the examples in each."""

    def __init__(self, num_examples: int, shuffle: bool, seed: int, initial_epoch: int):
        self.num_examples = num_examples
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = initial_epoch

    def order(self) -> np.ndarray:
        """(epoch, index) of each example of the present epoch in turn, int64 [num_examples, 2]."""
        indices = np.arange(self.num_examples)
        if self.shuffle:
            # The last number keeps this stream apart from those of the examples, [seed, epoch,
            # 1 + index]: NumPy takes [seed, epoch] and [seed, epoch, 0] for the same seed.
            indices = np.random.default_rng([self.seed, self.epoch, 0]).permutation(indices)
        return np.stack([np.full_like(indices, self.epoch), indices], axis=1).astype(np.int64)

    def end(self, epoch: int, is_last_batch: bool) -> None:
        """Go on to the epoch after this one, if this was its last batch."""
        if is_last_batch:
            # Two iterators of one epoch that both run to their end still count as one epoch.
            self.epoch = max(self.epoch, int(epoch) + 1)


def _check_arguments(num_examples, image_size, batch_size, augmentation, seed, initial_epoch):
    """Refuse arguments that would only fail later, inside the pipeline."""
    counts = {"num_examples": (num_examples, 1), "batch_size": (batch_size, 1)}
    counts |= {"seed": (seed, 0), "initial_epoch": (initial_epoch, 0)}
    for name, (value, smallest) in counts.items():
        if int(value) != value or value < smallest:
            raise ValueError(
                f"`{name}` must be a whole number, at least {smallest}. Received: {name}={value}"
            )
    if image_size is not None and (len(image_size) != 2 or min(image_size) < 1):
        raise ValueError(f"`image_size` must be (height, width). Received: image_size={image_size}")
    if augmentation is not None and image_size is None:
        raise ValueError(
            "Augmentation crops every example to one size: pass `image_size=(height, width)`. "
            "Received: image_size=None"
        )


def _checked(image, mask, *, index):
    """The example as it came, if it is of the form that the pipeline expects."""
    image, mask = np.asarray(image), np.asarray(mask)
    if (
        image.dtype not in (np.uint8, np.float32)
        or mask.dtype != np.uint8
        or image.ndim != 3
        or image.shape[:2] != mask.shape
    ):
        raise ValueError(
            f"Example {index} must be an image, uint8 or float32 [H, W, C], and a mask, uint8 "
            f"[H, W]. Received: image {image.dtype} {list(image.shape)}, "
            f"mask {mask.dtype} {list(mask.shape)}"
        )
    return image, mask
