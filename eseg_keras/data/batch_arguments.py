"""Refusing arguments of batches that would only fail later, while reading."""

from eseg_keras.data.augmentation import Augmentation


def check_counts(**counts: tuple[int, int]) -> None:
    """Refuse numbers that are not whole or too small: NAME=(value, smallest)."""
    for name, (value, smallest) in counts.items():
        if int(value) != value or value < smallest:
            raise ValueError(
                f"`{name}` must be a whole number, at least {smallest}. Received: {name}={value}"
            )


def check_sizes(
    image_size: tuple[int, int] | None, augmentation: Augmentation | None, ignore_label: int
) -> None:
    """Refuse sizes that are none, and augmentation that does not fit the rest."""
    if image_size is not None and (len(image_size) != 2 or min(image_size) < 1):
        raise ValueError(f"`image_size` must be (height, width). Received: image_size={image_size}")
    if augmentation is None:
        return
    if image_size is None:
        raise ValueError(
            "Augmentation crops every example to one size: pass `image_size=(height, width)`. "
            "Received: image_size=None"
        )
    if augmentation.ignore_label != ignore_label:
        raise ValueError(
            "Pass the same `ignore_label` here and to `Augmentation`. Received: "
            f"ignore_label={ignore_label} and {augmentation}"
        )
