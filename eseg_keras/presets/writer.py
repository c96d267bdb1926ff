"""Writing preset directories."""

import datetime
import os

import keras

from eseg_keras.files import atomic_directory, write_json
from eseg_keras.presets.files import (
    CONFIG_FILE,
    METADATA_FILE,
    PREPROCESSOR_FILE,
    TRAINING_LONG_SIDE,
    WEIGHTS_FILE,
    fingerprint,
)
from eseg_keras.presets.weights_file import write_weights
from eseg_keras.version import __version__

# Set when the preset is loaded: by default, the current dtype policy and the directory's name.
_NOT_SAVED = ("dtype", "name")
_LABELS = ("class_names", "palette", "ignore_label")


def save_to_preset(model, directory: str | os.PathLike, weights_dtype: str = "float32"):
    """Write a preset directory: three JSON files and the weights."""
    if weights_dtype not in ("float32", "float16"):
        raise ValueError(
            f"`weights_dtype` must be 'float32' or 'float16'. Received: {weights_dtype!r}"
        )
    config = model.get_config()
    if not isinstance(config["encoder"], str):
        raise ValueError(
            "A preset stores only the name of its encoder, but this model has a custom encoder "
            f"({model.encoder.name!r}). Save the model with model.save('model.keras')."
        )
    for key in _NOT_SAVED:
        config.pop(key)
    preprocessor = {
        "image_range": [0, 255],
        "color_space": "RGB" if model.image_shape[-1] == 3 else None,
        **{key: config.pop(key) for key in _LABELS},
    }
    with atomic_directory(directory) as temporary:
        weights = temporary / WEIGHTS_FILE
        write_weights(model, weights, weights_dtype)
        metadata = {
            "eseg_keras_version": __version__,
            "keras_version": keras.version(),
            "parameter_count": model.count_params(),
            "date_saved": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d@%H:%M:%S"),
            "weights": fingerprint(weights),
        }
        if model.training_long_side is not None:
            metadata[TRAINING_LONG_SIDE] = model.training_long_side
        class_config = {"class_name": "ESeg", "registered_name": "eseg_keras>ESeg"}
        write_json(temporary / CONFIG_FILE, {**class_config, "config": config})
        write_json(temporary / METADATA_FILE, metadata)
        write_json(temporary / PREPROCESSOR_FILE, preprocessor)
