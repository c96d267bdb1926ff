"""Common steps of the exporters: check arguments, cast to float32, describe the classes."""

import functools
import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

import keras

from eseg_keras.files import locked
from eseg_keras.image_size import check_image_size
from eseg_keras.optional import require

Exporter = TypeVar("Exporter", bound=Callable)


def one_writer(export: Exporter) -> Exporter:
    """Decorate an exporter: raise `FileInUseError` if another process writes the same output."""

    @functools.wraps(export)
    def call(model, output, **options):
        output = Path(output).resolve()
        with locked(output.parent, output.name):
            return export(model, output, **options)

    return call


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raise `ValueError` unless the value of the argument `name` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}. Received: {value!r}")


def require_tensorflow(kind: str):
    """Import TensorFlow; raise `ValueError` if Keras uses another backend."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"The export to {kind} needs the Keras backend 'tensorflow'. Received: "
            f"{keras.backend.backend()!r}. Set the environment variable KERAS_BACKEND=tensorflow."
        )
    return require("tensorflow", "tensorflow-cpu")


def in_float32(model: keras.Model) -> keras.Model:
    """Return `model` if its dtype policy is float32, else a float32 copy with averaged weights."""
    if model.dtype_policy.name == "float32":
        return model
    config = model.get_config() | {"dtype": "float32"}
    if model.encoder_name is None:
        config["encoder"] = keras.models.clone_model(
            model.encoder,
            clone_function=lambda layer: type(layer).from_config(
                layer.get_config() | {"dtype": "float32"}
            ),
        )
    copy = type(model).from_config(config)
    copy.copy_weights(model)
    return copy


def exported_size(model: keras.Model, image_size: tuple[int, int] | None) -> tuple[int, int] | None:
    """Check `image_size`; return the fixed (height, width) of a file's images, or `None`."""
    built = tuple(model.image_shape[:2])
    if None not in built:
        if image_size is not None and tuple(image_size) != built:
            raise ValueError(
                f"The network is built for images of {built}. Received: image_size={image_size}. "
                "Omit image_size."
            )
        return built
    if image_size is None:
        return None
    check_image_size("image_size", image_size)
    return tuple(image_size)


def classes_json(model: keras.Model) -> str:
    """Return the number, names, palette and ignore label of a model's classes as JSON."""
    fields = ("num_classes", "class_names", "palette", "ignore_label")
    return json.dumps({field: getattr(model, field) for field in fields}, indent=2) + "\n"
