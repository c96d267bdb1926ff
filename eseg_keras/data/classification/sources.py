"""Sources of labelled images: a folder per class, and ImageNet (ILSVRC 2012)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eseg_keras.data.datasets.preparation import check_random_access, prepare, text
from eseg_keras.data.images.image_reader import decode, read_image
from eseg_keras.data.images.walker import find_images
from eseg_keras.optional import require

_ARCHIVES = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")


@dataclass(frozen=True)
class ClassFolder:
    """The images of a split, read one at a time.

    Attributes:
        images: Image files.
        labels: Label of each image.
        class_names: Names of the classes in the order of their labels.
    """

    images: tuple[Path, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> tuple[np.ndarray, int]:
        """Return an image, uint8 [H, W, 3] RGB, and its label; raise ImageFileError if unusable."""
        return read_image(self.images[index]), self.labels[index]

    def name(self, index: int) -> str:
        """Return the image file of an example."""
        return str(self.images[index])


def class_folders(directory: str | Path, class_names: Sequence[str] | None = None) -> ClassFolder:
    """Find the images of a folder such as `data/train`, with `data/train/CLASS/IMAGE.jpg`.

    `class_names` are in the order of the labels: for the validation images, pass those of the
    training images. They default to the names of the subfolders in alphabetical order. Raise
    FileNotFoundError if a folder is missing or empty, ValueError for a subfolder that is not a
    class.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise FileNotFoundError(
            f"There is no folder {directory}. Expected a folder with one subfolder of images per "
            "class"
        )
    folders = sorted(directory.iterdir())
    folders = [path for path in folders if path.is_dir() and not path.name.startswith(".")]
    if not folders:
        raise FileNotFoundError(f"{directory} has no subfolders: expected one per class")
    found = [folder.name for folder in folders]
    class_names = tuple(found if class_names is None else class_names)
    if unknown := sorted(set(found) - set(class_names)):
        raise ValueError(
            f"{directory} has unknown class folders: {', '.join(unknown[:8])}. The classes are "
            f"{', '.join(class_names[:8])}{', ...' * (len(class_names) > 8)}"
        )
    images, labels = [], []
    for folder in folders:
        try:
            images += find_images(folder)
        except ValueError as error:
            raise FileNotFoundError(f"{folder}: {error}") from error
        labels += [class_names.index(folder.name)] * (len(images) - len(labels))
    return ClassFolder(tuple(images), tuple(labels), class_names)


class ImageNetExamples:
    """The images of a split, from records with `"file_name"`, `"image"` and `"label"`.

    `class_names` are the WordNet ids of the classes in the order of their labels.
    """

    def __init__(self, records: Sequence[dict[str, Any]], class_names: Sequence[str]):
        self._records = records
        self.class_names = tuple(class_names)

    def __len__(self) -> int:
        return len(self._records)

    def read(self, index: int) -> tuple[np.ndarray, int]:
        """Return an image, uint8 [H, W, 3] RGB, and its label; raise ImageFileError if unusable."""
        record = self._records[index]
        # As in published evaluations, EXIF rotation is not applied.
        pil_image = decode(record["image"], text(record["file_name"]))
        return np.array(pil_image.convert("RGB")), int(record["label"])

    def name(self, index: int) -> str:
        """Return the file name of an example."""
        return text(self._records[index]["file_name"])


def imagenet2012(data_dir: str | Path, split: str = "train") -> ImageNetExamples:
    """Load the split `"train"` (1,281,167 images) or `"validation"` (50,000) of ImageNet (ILSVRC
    2012).

    ImageNet's terms allow research and education, but no automatic download: download
    `ILSVRC2012_img_train.tar` and `ILSVRC2012_img_val.tar` from image-net.org into
    `data_dir/downloads/manual` or `data_dir`. The first call requires TensorFlow and stores the
    images in `data_dir` in the format of tensorflow-datasets; later calls do not need TensorFlow.
    Raise FileNotFoundError if the archives are missing, ImportError if a package is missing,
    ValueError if the images are stored in a format without random access.
    """
    if split not in ("train", "validation"):
        raise ValueError(f"ImageNet has the splits 'train' and 'validation'. Received: {split!r}")
    require("array_record", "data")
    tfds = require("tensorflow_datasets", "data")
    data_dir = Path(data_dir).expanduser()
    builder = tfds.builder("imagenet2012", data_dir=data_dir)
    if not builder.data_path.exists():
        manual = data_dir / "downloads" / "manual"
        places = [p for p in (manual, data_dir) if all((p / name).is_file() for name in _ARCHIVES)]
        if not places:
            raise FileNotFoundError(
                f"ImageNet was not found: download {' and '.join(_ARCHIVES)} from "
                f"https://image-net.org/download and put them into {manual}"
            )
        require("tensorflow", "tensorflow-cpu")
        prepare(builder, places[0])
    check_random_access(builder)
    records = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
    return ImageNetExamples(records, builder.info.features["label"].names)
