"""Freezing parts of a model."""

import keras

PARTS = ("encoder", "decoder", "head", "batch_norm")


def check_parts(parts):
    """Raise a ValueError for names that are not in `PARTS`."""
    if unknown := set(parts) - set(PARTS):
        raise ValueError(f"Unknown parts {sorted(unknown)}. Expected any of {list(PARTS)}.")


def set_trainable(model: keras.Model, frozen: tuple[str, ...]):
    """Make every layer of an ESeg trainable, except the layers of the frozen parts."""
    # Set layer by layer: on the TensorFlow backend, assigning `trainable = True` to a model where
    # it is already True does not change its layers.
    for layer in model._flatten_layers(include_self=False):
        layer.trainable = True
    for part in frozen:
        if part == "batch_norm":
            for layer in model._flatten_layers(include_self=False):
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.trainable = False
        else:
            getattr(model, part).trainable = False
