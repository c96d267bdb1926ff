"""Prepare a model for export: cast to float32, fix the image size, describe the classes."""

import json

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
    >>> from eseg_keras.export.preparation import in_float32
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


def exported_size(model: keras.Model, image_size: tuple[int, int] | None) -> tuple[int, int] | None:
    """Find the one size of the images of a file.

    Args:
        model: An `ESeg` model.
        image_size: (height, width) that was asked for, or `None`.

    Returns:
        (height, width), or `None` for any.

    Raises:
        ValueError: If it is smaller than 32x32, or not the one that the network is built for.
    """
    built = tuple(model.image_shape[:2])
    if None not in built:
        if image_size is not None and tuple(image_size) != built:
            raise ValueError(
                f"The network is built for images of {built}. Received: image_size={image_size}"
            )
        return built
    if image_size is not None and min(image_size) < SMALLEST_SIDE:
        raise ValueError(
            f"image_size must be at least {(SMALLEST_SIDE, SMALLEST_SIDE)}. Received: {image_size}"
        )
    return image_size


def classes_json(model: keras.Model) -> str:
    """Describe a model's classes: names, colours, and the label that means none.

    Args:
        model: An `ESeg` model.

    Returns:
        JSON with `num_classes`, `class_names`, `palette` and `ignore_label`; names and palette are
        null where the model has none.
    """
    fields = ("num_classes", "class_names", "palette", "ignore_label")
    return json.dumps({field: getattr(model, field) for field in fields}, indent=2) + "\n"
