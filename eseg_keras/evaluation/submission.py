"""Write predictions in the format of the evaluation servers of Cityscapes and ADE20K."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from eseg_keras.data.datasets import ade20k, cityscapes
from eseg_keras.files import atomic_directory, check_is_new

Benchmark = Literal["cityscapes", "ade20k"]

# The label of each class in submitted files; 0 means no class in both benchmarks.
_FILE_LABELS = {"cityscapes": cityscapes.LABEL_IDS, "ade20k": range(1, 151)}
_CLASS_NAMES = {"cityscapes": cityscapes.CLASSES.class_names, "ade20k": ade20k.CLASSES.class_names}

# The server matches predictions to images by the city, the sequence and the frame in the name.
_CITYSCAPES_NAME = re.compile(r"([^_]+_\d{6}_\d{6})(_leftImg8bit)?")


def benchmark_of(class_names: Sequence[str] | None) -> Benchmark:
    """Return the benchmark with the given class names, or raise ValueError."""
    for benchmark, names in _CLASS_NAMES.items():
        if tuple(class_names or ()) == names:
            return benchmark
    received = ", ".join((class_names or ["no names"])[:4])
    raise ValueError(
        "A submission needs a model with the class names of Cityscapes (road, sidewalk, ...) or of "
        f"ADE20K (wall, building, ...), in their order. Received: {received}, ..."
    )


class Submission:
    """A folder of label maps for an evaluation server, written atomically.

    Each label map becomes an 8-bit greyscale PNG of the same size: for Cityscapes with the label
    ids of the `labelIds` files, named `CITY_SEQUENCE_FRAME_labelIds.png`; for ADE20K with labels 1
    to 150, named like the image. Pixels without a class become 0. `names` are the names or files of
    all images that will be added.

    The files are written to a temporary folder, which is renamed at the end of the `with` block, so
    that a submission is never incomplete and never mixes two models or settings. An interrupted run
    starts again from the first image.

    The formats: [Cityscapes](https://www.cityscapes-dataset.com/submit/),
    [ADE20K](https://github.com/CSAILVision/sceneparsing#submission-format).
    """

    def __init__(self, directory: str | Path, benchmark: Benchmark, names: Iterable[str]):
        self.directory = Path(directory)
        check_is_new(self.directory)
        self._benchmark = benchmark
        self._file_labels = np.zeros(256, np.uint8)
        labels = _FILE_LABELS[benchmark]
        self._file_labels[: len(labels)] = labels
        images = {}
        for name in names:
            file_name = self._file_name(name)
            if file_name in images:
                raise ValueError(
                    f"{images[file_name]} and {name} would both be submitted as {file_name}: "
                    "remove one of them."
                )
            images[file_name] = name

    def __enter__(self):
        self._context = atomic_directory(self.directory)
        self._temporary = self._context.__enter__()
        return self

    def __exit__(self, *error):
        return self._context.__exit__(*error)

    def add(self, name: str, label_map: np.ndarray) -> None:
        """Write the label map of an image, uint8 [H, W]; values that are not a class become 0."""
        image = Image.fromarray(np.take(self._file_labels, label_map))
        image.save(self._temporary / self._file_name(name))

    def _file_name(self, name):
        # Image names of prepared data sets have no suffix; `stem` is then the whole name.
        stem = Path(name).stem
        if self._benchmark == "ade20k":
            return f"{stem}.png"
        match = _CITYSCAPES_NAME.fullmatch(stem)
        if match is None:
            raise ValueError(
                f"{name} is not named like the images of Cityscapes, such as "
                "berlin_000000_000019_leftImg8bit.png: the server could not match the prediction."
            )
        return f"{match[1]}_labelIds.png"
