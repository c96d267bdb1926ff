"""The classes of a network inside its TFLite file."""

import json
import os
import zipfile

import keras

from eseg_keras.export.serving_assets import classes_json

_CLASSES = "classes.json"
_LABELS = "labels.txt"
# Two equal exports are two equal files.
_DATE = (1980, 1, 1, 0, 0, 0)


def append_classes(path: str | os.PathLike, model: keras.Model) -> None:
    """Append the classes to a TFLite file as a zip archive.

    This is how the TFLite metadata standard carries files: runtimes read the network from the
    start of the file and see no archive; whatever opens zip files reads it from the end. Inside
    are `labels.txt`, the name of a class a line, and `classes.json`: names, palette and ignore
    label.

    Args:
        path: The `.tflite` file.
        model: The `ESeg` model.

    Reference:
        [TFLite metadata](https://ai.google.dev/edge/litert/conversion/tensorflow/metadata)
    """
    content = classes_json(model)
    names = json.loads(content)["class_names"] or []
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(_CLASSES, _DATE), content)
        if names:
            archive.writestr(zipfile.ZipInfo(_LABELS, _DATE), "\n".join(names) + "\n")


def read_tflite_classes(path: str | os.PathLike) -> dict:
    """Read the classes from a TFLite file that `export_tflite` wrote.

    Args:
        path: The `.tflite` file.

    Returns:
        Dict of `class_names` and `palette`, either may be `None`, `ignore_label` and
        `num_classes`.

    Raises:
        ValueError: If the file holds no classes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(_CLASSES))
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(
            f"{path} holds no classes. Expected a file written by export_tflite."
        ) from error
