"""The base class of all sources of images with masks."""

from collections.abc import Sequence

import numpy as np

from eseg_keras.data.augmentation import Augmentation
from eseg_keras.data.batches import Batches
from eseg_keras.data.class_weights import balanced_class_weights


class Examples:
    """Images with their masks, read one at a time: the base class of all sources.

    `open_folders` and `load` return such examples; `StreetScenes` is another source. A subclass
    implements `__len__`, `read` and `name`. `read` must be thread-safe.

    Attributes:
        num_classes: Number of classes.
        ignore_label: Label of ignored pixels.
        image_size: (height, width) of all images; None if they differ or are unknown.
        class_counts: Pixels of each class, [num_classes]; None if not counted.
    """

    num_classes: int
    ignore_label: int = 255
    image_size: tuple[int, int] | None = None
    class_counts: np.ndarray | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read an image, uint8 [H, W, 3] RGB, and its mask, uint8 [H, W].

        Raise ImageFileError, with the name of the example, if it cannot be read.
        """
        raise NotImplementedError

    def name(self, index: int) -> str:
        """Return the name of an example for messages, such as its file."""
        raise NotImplementedError

    def batches(
        self,
        *,
        image_size: tuple[int, int] | None = None,
        batch_size: int = 8,
        augment: bool | Augmentation = False,
        shuffle: bool = False,
        seed: int = 0,
        class_weights: str | Sequence[float] | np.ndarray | None = None,
        drop_remainder: bool = False,
        cache: bool | int = False,
        skip_bad_examples: bool = False,
        shard: tuple[int, int] = (0, 1),
    ) -> Batches:
        """Return batches of these examples.

        Args:
            image_size: (height, width) of the batches. With `augment`, images are cropped to this
                size; otherwise they are scaled to fit into it and padded. Defaults to the common
                size of all images. If their sizes differ or are unknown, images keep their own
                size, and `augment` requires `image_size`.
            augment: Whether to scale, crop and flip at random, or the `Augmentation` to use.
            class_weights: Weight of each class, [num_classes], or `"balanced"` to compute the
                weights from `class_counts` (see `balanced_class_weights`). Batches then contain
                sample weights.
            batch_size, shuffle, seed, drop_remainder, cache, skip_bad_examples, shard: See
                `Batches`.

        Returns:
            `Batches` of images uint8 [B, H, W, 3] and masks uint8 [B, H, W], with sample weights
            float32 [B, H, W] if `class_weights` is given.

        Raises:
            ValueError: If an argument is out of range, or contradicts another argument.
            ImageFileError: If the first example cannot be used or, with `skip_bad_examples`, if no
                example can be used.

        Example:

        >>> from eseg_keras.street_scenes import StreetScenes
        >>> batches = StreetScenes("train", 9).batches(image_size=(64, 64), augment=True)
        >>> batches.batch(epoch=0, batch=1)[0].shape
        (1, 64, 64, 3)
        """
        if isinstance(class_weights, str):
            if class_weights != "balanced" or self.class_counts is None:
                raise ValueError(
                    "`class_weights` must be a weight for each class, None, or 'balanced'. "
                    "'balanced' requires pixel counts, which `open_folders` provides with "
                    "check=True. "
                    f"Received: class_weights={class_weights!r}"
                )
            class_weights = balanced_class_weights(self.class_counts)
        if class_weights is not None and len(class_weights) != self.num_classes:
            raise ValueError(
                f"`class_weights` must contain {self.num_classes} weights, one per class. "
                f"Received: {len(class_weights)} weights"
            )
        if isinstance(augment, bool):
            augment = Augmentation(ignore_label=self.ignore_label) if augment else None
        return Batches(
            self.read,
            len(self),
            image_size=image_size or self.image_size,
            batch_size=batch_size,
            augmentation=augment,
            shuffle=shuffle,
            seed=seed,
            class_weights=class_weights,
            ignore_label=self.ignore_label,
            drop_remainder=drop_remainder,
            cache=cache,
            name_example=self.name,
            skip_bad_examples=skip_bad_examples,
            shard=shard,
        )
