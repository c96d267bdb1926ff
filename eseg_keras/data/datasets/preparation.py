"""Preparing a data set with tensorflow-datasets, as files with random access."""

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
    """Return the builder of a data set that is prepared in `data_dir`; None if there is none."""
    folder = data_dir / description.name / description.config
    if not any(folder.glob("[0-9]*/dataset_info.json")):
        return None
    builder = make_builder(description, data_dir)
    return builder if builder.data_path.exists() else None


def prepare(builder, manual_dir: Path) -> None:
    """Prepare a data set from the files in `manual_dir`; several processes may do so at once."""
    tfds = require("tensorflow_datasets", "data")
    for stale in sorted(builder.data_path.parent.glob("incomplete.*")):
        log.warning("Unless a preparation is running, this is left from a stopped one: %s", stale)
    log.warning("Preparing %s, once.", builder.data_path)
    config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
    # Progress bars are written to the standard error. The standard output would announce a download
    # of unknown size, although nothing is downloaded.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            builder.download_and_prepare(download_config=config, file_format="array_record")
        except FileExistsError:
            # Another process may have finished first.
            if not builder.data_path.exists():
                raise


def check_random_access(builder) -> None:
    """Refuse a prepared data set in a format without random access."""
    if "array_record" not in {kind.value for kind in builder.info.available_file_formats()}:
        raise ValueError(
            f"{builder.data_path} was prepared by another program, as "
            f"{builder.info.file_format.value}, which has no random access. Use another data_dir, "
            "or remove it to prepare it again"
        )


def text(value: bytes | str) -> str:
    """Decode a stored text."""
    return value.decode() if isinstance(value, bytes) else str(value)
