"""ImageNet (ILSVRC 2012), through tensorflow-datasets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eseg_keras.data.images.image_reader import decode
from eseg_keras.optional import require

ARCHIVES = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")


class ImageNetExamples:
    """The photos of a split, read one at a time, from many threads if need be.

    Attributes:
        class_names: WordNet ids of the classes in the order of their labels.

    Args:
        records: The stored examples: `"file_name"`, `"image"` (the bytes of the file), `"label"`.
        class_names: Names of the classes.
    """

    def __init__(self, records: Sequence[dict[str, Any]], class_names: Sequence[str]):
        self._records = records
        self.class_names = tuple(class_names)

    def __len__(self) -> int:
        return len(self._records)

    def read(self, index: int) -> tuple[np.ndarray, int]:
        """Read one example.

        Args:
            index: Which, from 0.

        Returns:
            The image, uint8 [H, W, 3] RGB, and its label.

        Raises:
            ImageFileError: If the image cannot be decoded; it names the image.
        """
        record = self._records[index]
        # Not rotated: published figures are of the pixels as they lie in the files.
        picture = decode(record["image"], _file_name(record))
        return np.array(picture.convert("RGB")), int(record["label"])

    def name(self, index: int) -> str:
        """File name of an example."""
        return _file_name(self._records[index])


def imagenet2012(data_dir: str | Path, split: str = "train") -> ImageNetExamples:
    """Load ImageNet (ILSVRC 2012), and prepare it the first time.

    It may not be downloaded by a program: `ILSVRC2012_img_train.tar` and `ILSVRC2012_img_val.tar`
    from image-net.org, whose terms allow research and education, are looked for in
    `data_dir/downloads/manual` and in `data_dir`. The first call, which needs TensorFlow, stores
    them in `data_dir` in the form of tensorflow-datasets; reading needs no TensorFlow.

    Args:
        data_dir: Data directory of tensorflow-datasets.
        split: `"train"` (1,281,167 photos) or `"validation"` (50,000). Defaults to `"train"`.

    Returns:
        The examples.

    Raises:
        ValueError: If there is no such split, or if it was prepared in a form without random
            access.
        FileNotFoundError: If the archives are missing; the message says where they belong.
        ImportError: If a package is missing.

    Example:

    >>> import tempfile
    >>> from eseg_keras.data.classification import imagenet2012
    >>> imagenet2012(tempfile.mkdtemp())
    Traceback (most recent call last):
    FileNotFoundError: ImageNet is not there yet: download ILSVRC2012_img_train.tar and ...

    Reference:
        [ImageNet Large Scale Visual Recognition Challenge](https://arxiv.org/abs/1409.0575)
    """
    if split not in ("train", "validation"):
        raise ValueError(f"ImageNet has the splits 'train' and 'validation'. Received: {split!r}")
    require("array_record", "data")
    tfds = require("tensorflow_datasets", "data")
    data_dir = Path(data_dir).expanduser()
    builder = tfds.builder("imagenet2012", data_dir=data_dir)
    if not builder.data_path.exists():
        manual = data_dir / "downloads" / "manual"
        places = [p for p in (manual, data_dir) if all((p / name).is_file() for name in ARCHIVES)]
        if not places:
            raise FileNotFoundError(
                f"ImageNet is not there yet: download {' and '.join(ARCHIVES)} from "
                f"https://image-net.org/download and put them into {manual}"
            )
        require("tensorflow", "tensorflow-cpu")
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=places[0], try_download_gcs=False
            ),
            file_format="array_record",
        )
    if "array_record" not in {kind.value for kind in builder.info.available_file_formats()}:
        raise ValueError(
            f"{builder.data_path} was prepared by another program, as "
            f"{builder.info.file_format.value}, which cannot be read in any order. Use another "
            "data_dir, or remove it to prepare it again"
        )
    records = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
    return ImageNetExamples(records, builder.info.features["label"].names)


def _file_name(record):
    name = record["file_name"]
    return name.decode() if isinstance(name, bytes) else str(name)
