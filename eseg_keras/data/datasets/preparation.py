"""Preparing a data set with tensorflow-datasets, in a format with random access."""

import contextlib
import logging
import os
from pathlib import Path

from eseg_keras.data.datasets.found_files import FoundFiles
from eseg_keras.data.datasets.metadata import Description
from eseg_keras.optional import require

log = logging.getLogger(__name__)


def make_builder(description: Description, data_dir: Path, files: FoundFiles | None = None):
    """Return the builder of a data set, without reading or preparing anything."""
    require("array_record", "data")
    require("tensorflow_datasets", "data")
    from eseg_keras.data.datasets.builders import builder_for

    return builder_for(description, data_dir, files)


def prepared_builder(description: Description, data_dir: Path):
    """Return the builder of a data set prepared in `data_dir`; None if it is not prepared."""
    folder = data_dir / description.name / description.config
    if not any(folder.glob("[0-9]*/dataset_info.json")):
        return None
    builder = make_builder(description, data_dir)
    return builder if builder.data_path.exists() else None


def prepare(builder, manual_dir: Path) -> None:
    """Prepare a data set from the files in `manual_dir`; several processes may run it at once."""
    tfds = require("tensorflow_datasets", "data")
    for stale in sorted(builder.data_path.parent.glob("incomplete.*")):
        log.warning("%s is incomplete: remove it, unless another process is preparing it.", stale)
    log.warning("Preparing %s. This is done only once.", builder.data_path)
    config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
    # Hide the standard output, on which tensorflow-datasets would announce a download, although
    # nothing is downloaded. Progress bars are written to standard error.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            builder.download_and_prepare(download_config=config, file_format="array_record")
        except FileExistsError:
            # Another process may have finished the preparation first.
            if not builder.data_path.exists():
                raise


def check_random_access(builder) -> None:
    """Raise ValueError if a prepared data set is in a format without random access."""
    if "array_record" not in {kind.value for kind in builder.info.available_file_formats()}:
        raise ValueError(
            f"{builder.data_path} was prepared by another program, as "
            f"{builder.info.file_format.value}, which has no random access. Use another data_dir, "
            "or remove this folder to prepare the data set again"
        )


def text(value: bytes | str) -> str:
    """Return a text value of a record, bytes or `str`, as `str`."""
    return value.decode() if isinstance(value, bytes) else str(value)
