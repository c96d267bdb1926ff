"""The base class of images with masks."""

from collections.abc import Sequence

import numpy as np

from eseg_keras.data.augmentation import Augmentation
from eseg_keras.data.batches import Batches
from eseg_keras.data.class_weights import balanced_class_weights


class Examples:
    """Images with their masks, read one at a time: the base class of all sources.

    `open_folders`, `load` and `StreetScenes` return such examples. A subclass has `__len__`, `read`
    and `name`, and may be read by several threads.

    Attributes:
        num_classes: Number of classes.
        ignore_label: Label of the pixels that are ignored.
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

        ImageFileError names an example that cannot be read.
        """
        raise NotImplementedError

    def name(self, index: int) -> str:
        """Return the name of an example in messages, such as its file."""
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
        cache: bool = False,
        skip_bad_examples: bool = False,
        shard: tuple[int, int] = (0, 1),
    ) -> Batches:
        """Return batches of these examples.

        Args:
            image_size: (height, width) of the batches: the size of the crops with `augment`, else
                the size that images are scaled to fit into. By default images keep their size;
                with `augment`, they must then all have the same one.
            augment: Whether to scale, crop and flip at random, or the `Augmentation` to use.
            class_weights: Weight of each class, [num_classes], or `"balanced"` to compute them from
                counted masks (see `balanced_class_weights`); batches then hold sample weights.
            batch_size, shuffle, seed, drop_remainder, cache, skip_bad_examples, shard: As those of
                `Batches`.

        Returns:
            `Batches` of images uint8 [B, H, W, 3] and masks uint8 [B, H, W], with sample weights
            float32 [B, H, W] where `class_weights` is given.

        Raises:
            ValueError: If an argument is out of range, or contradicts another.

        Example:

        >>> from eseg_keras.street_scenes import StreetScenes
        >>> batches = StreetScenes("train", 9).batches(image_size=(64, 64), augment=True)
        >>> batches.batch(epoch=0, batch=1)[0].shape
        (1, 64, 64, 3)
        """
        if isinstance(class_weights, str):
            if class_weights != "balanced" or self.class_counts is None:
                raise ValueError(
                    "`class_weights` must be a weight for each class, None, or 'balanced', which "
                    "needs counted masks: folders opened with check=True. "
                    f"Received: class_weights={class_weights!r}"
                )
            class_weights = balanced_class_weights(self.class_counts)
        if class_weights is not None and len(class_weights) != self.num_classes:
            raise ValueError(
                f"`class_weights` must hold {self.num_classes} weights, one per class. "
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
