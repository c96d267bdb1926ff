"""A tf.data pipeline in one call."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from eseg_keras.data.batches import Batches

if TYPE_CHECKING:
    import tensorflow as tf


def build_dataset(
    read_example: Callable[[int], tuple[np.ndarray, np.ndarray]],
    num_examples: int,
    *,
    initial_epoch: int = 0,
    **options: Any,
) -> "tf.data.Dataset":
    """Build a `tf.data.Dataset` ready for `fit`, `evaluate` and `predict`.

    This is `Batches(...).to_tf_dataset(initial_epoch)`: see `Batches` for what the batches hold,
    for every option, and for the same batches without TensorFlow.

    Args:
        read_example: Function of an index in [0, num_examples) that returns the image, uint8 or
            float32 [H, W, C], and its mask, uint8 [H, W].
        num_examples: Number of examples.
        initial_epoch: Number of the first epoch. A run that goes on after `n` epochs passes `n`
            and sees what the uninterrupted run would have seen.
        **options: `image_size`, `batch_size`, `augmentation`, `shuffle`, `seed`, `class_weights`,
            `ignore_label`, `drop_remainder`, `cache`, `name_example`, `skip_bad_examples` and
            `shard` of `Batches`.

    Returns:
        A dataset of (images [B, H, W, C], masks uint8 [B, H, W]) batches of known number, with
        sample weights float32 [B, H, W] where `class_weights` is given, 0 at ignored pixels.
        Iterating again gives the next epoch.

    Raises:
        ValueError: If an argument is out of range, or the first example is not of this form.
        TypeError: If there is no such option.

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
    return Batches(read_example, num_examples, **options).to_tf_dataset(initial_epoch)
