"""The examples of a published data set, read one at a time."""

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eseg_keras.data.datasets.found_files import FilePair
from eseg_keras.data.datasets.metadata import Description
from eseg_keras.data.datasets.preparation import text
from eseg_keras.data.examples import Examples
from eseg_keras.data.images.image_reader import ImageFileError, decode
from eseg_keras.data.images.mask_reader import decode_mask


class StoredPairs(Sequence):
    """The examples of a split, which tensorflow-datasets stores as records.

    A record contains `"image_id"` and the bytes of two files: `"segmentation_label"` and `"image"`
    or `"image_left"`.
    """

    def __init__(self, records: Sequence[dict[str, Any]]):
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> FilePair:
        record = self._records[index]
        image = record["image_left"] if "image_left" in record else record["image"]
        return FilePair(text(record["image_id"]), image, record["segmentation_label"])


class DatasetExamples(Examples):
    """The examples of one split; `batches` returns them as batches for training.

    `read` does not need TensorFlow, and is thread-safe.

    Attributes:
        class_names: Names of the classes in the order of their ids.
        palette: One (red, green, blue) per class, 0..255.
        num_classes: Number of classes.
        ignore_label: Label of ignored pixels: 255.
    """

    def __init__(self, pairs: Sequence[FilePair], description: Description, split: str):
        self._pairs = pairs
        self._classes = description.classes
        self._where = f"{description.name}/{split}"
        self.class_names = self._classes.class_names
        self.palette = self._classes.palette
        self.num_classes = len(self.class_names)

    def __len__(self) -> int:
        return len(self._pairs)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read an image, uint8 [H, W, 3] RGB, and its mask, uint8 [H, W] of class ids and 255."""
        name, image_file, mask_file = self._pair(index)
        # Files in records of tensorflow-datasets have no path.
        image_name, mask_name = (
            str(file) if isinstance(file, Path) else f"{self._where}/{name} ({kind})"
            for file, kind in ((image_file, "image"), (mask_file, "mask"))
        )
        pil_image = decode(image_file, image_name)
        image = np.array(pil_image if pil_image.mode == "RGB" else pil_image.convert("RGB"))
        labels, _ = decode_mask(mask_file, mask_name)
        if labels.mode not in ("L", "P"):
            problem = f"has the pixel format {labels.mode} instead of 8-bit label ids"
            raise ImageFileError(mask_name, [problem])
        if labels.size != pil_image.size:
            problem = f"the image has {image.shape[1]}x{image.shape[0]} pixels, but its mask "
            raise ImageFileError(image_name, [problem + f"{labels.width}x{labels.height}"])
        try:
            return image, self._classes.read(np.asarray(labels))
        except ValueError as error:
            raise ImageFileError(mask_name, [str(error)]) from error

    def name(self, index: int) -> str:
        """Return the name of an example's image, without an ending such as `_leftImg8bit.png`."""
        return self._pair(index).name

    def _pair(self, index):
        index = operator.index(index)
        if not 0 <= index < len(self):
            raise IndexError(f"{self._where} has {len(self)} examples. Received: index={index}")
        return self._pairs[index]
