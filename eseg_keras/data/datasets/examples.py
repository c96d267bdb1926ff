"""The examples of a prepared data set, read one at a time."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from eseg_keras.data.datasets.metadata import Description
from eseg_keras.data.datasets.preparation import text
from eseg_keras.data.examples import Examples
from eseg_keras.data.images.image_reader import ImageFileError, decode


class DatasetExamples(Examples):
    """The examples of one split; `batches` returns them as batches for training.

    `read` needs no TensorFlow, and may be called from many threads at once. The stored records hold
    `"image_id"` and, as bytes of image files, `"segmentation_label"` and `"image"` or
    `"image_left"`.

    Attributes:
        class_names: Names of the classes in the order of their ids.
        palette: One (red, green, blue) per class, 0..255.
        num_classes: Number of classes.
        ignore_label: Label of the pixels that are ignored: 255.
    """

    def __init__(self, records: Sequence[dict[str, Any]], description: Description, split: str):
        self._records = records
        self._classes = description.classes
        self._where = f"{description.name}/{split}"
        self.class_names = self._classes.class_names
        self.palette = self._classes.palette
        self.num_classes = len(self.class_names)

    def __len__(self) -> int:
        return len(self._records)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read an image, uint8 [H, W, 3] RGB, and its mask, uint8 [H, W] of class ids and 255."""
        record = self._record(index)
        name = f"{self._where}/{text(record['image_id'])}"
        content = record["image_left"] if "image_left" in record else record["image"]
        picture = decode(content, f"{name} (image)")
        image = np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))
        labels = decode(record["segmentation_label"], f"{name} (mask)")
        if labels.mode not in ("L", "P"):
            problem = f"has the pixel format {labels.mode} instead of 8-bit label ids"
            raise ImageFileError(f"{name} (mask)", [problem])
        if labels.size != picture.size:
            problem = f"the image is {image.shape[1]}x{image.shape[0]} pixels, and its mask "
            raise ImageFileError(name, [problem + f"{labels.width}x{labels.height}"])
        try:
            return image, self._classes.read(np.asarray(labels))
        except ValueError as error:
            raise ImageFileError(f"{name} (mask)", [str(error)]) from error

    def name(self, index: int) -> str:
        """Return the name of an example's image in the archive, without its suffix."""
        return text(self._record(index)["image_id"])

    def _record(self, index):
        index = operator.index(index)
        if not 0 <= index < len(self):
            raise IndexError(f"{self._where} has {len(self)} examples. Received: index={index}")
        return self._records[index]
