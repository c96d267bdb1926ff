"""What a network must be for a file of one precision and, perhaps, one size."""

import keras

# Pixels a side that every network takes.
SMALLEST_SIDE = 32


def in_float32(model: keras.Model) -> keras.Model:
    """Return a network as it computes in float32: how precise a file is, its own options say.

    Args:
        model: An `ESeg` model of any dtype policy.

    Returns:
        The model itself if it computes in float32; else one with its weights, averaged ones where
        it has them, that does.

    Example:

    >>> import eseg_keras
    >>> from eseg_keras.export.exportable import in_float32
    >>> options = dict(encoder="fused_efficientnet_s", num_classes=2, min_level=3)
    >>> model = eseg_keras.ESeg(**options, dtype="mixed_bfloat16")
    >>> in_float32(model).dtype_policy.name
    'float32'
    """
    if model.dtype_policy.name == "float32":
        return model
    config = model.get_config() | {"dtype": "float32"}
    if model.encoder_name is None:
        config["encoder"] = keras.models.clone_model(
            model.encoder, clone_function=_layer_in_float32
        )
    twin = type(model).from_config(config)
    twin.copy_weights(model)
    return twin


def _layer_in_float32(layer):
    return type(layer).from_config(layer.get_config() | {"dtype": "float32"})


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
