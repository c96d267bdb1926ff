"""What a network must be for a file of one precision and, perhaps, one size."""

import keras

# Pixels a side that every network takes.
SMALLEST_SIDE = 32


def check_float32(model: keras.Model) -> None:
    """Refuse a network that computes in less than float32: a file's own precision does that.

    Args:
        model: An `ESeg` model.

    Raises:
        ValueError: If its dtype policy is another one.
    """
    if model.dtype_policy.name != "float32":
        raise ValueError(
            "A network that computes in float32 is needed: save this one by save_to_preset and "
            f"load that. Received: dtype policy {model.dtype_policy.name!r}"
        )


def exported_size(model: keras.Model, input_size: tuple[int, int] | None) -> tuple[int, int] | None:
    """Find the one size of the images of a file.

    Args:
        model: An `ESeg` model.
        input_size: (height, width) that was asked for, or `None`.

    Returns:
        (height, width), or `None` for any.

    Raises:
        ValueError: If it is smaller than 32x32, or not the one that the network is built for.
    """
    built = tuple(model.image_shape[:2])
    if None not in built:
        if input_size is not None and tuple(input_size) != built:
            raise ValueError(
                f"The network is built for images of {built}. Received: input_size={input_size}"
            )
        return built
    if input_size is not None and min(input_size) < SMALLEST_SIDE:
        raise ValueError(
            f"input_size must be at least {(SMALLEST_SIDE, SMALLEST_SIDE)}. Received: {input_size}"
        )
    return input_size
