"""Preparing a data set with tensorflow-datasets, as files that are read in any order."""

import contextlib
import logging
import os
from pathlib import Path

from eseg_keras.optional import require

log = logging.getLogger(__name__)


def prepare(builder, manual_dir: Path) -> None:
    """Let a builder store what lies in `manual_dir`; another process may do so at the same time."""
    tfds = require("tensorflow_datasets", "data")
    for stale in sorted(builder.data_path.parent.glob("incomplete.*")):
        log.warning("Left by a preparation that was stopped, unless one is running: %s", stale)
    log.warning("Preparing %s, once.", builder.data_path)
    config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
    # The progress bars go to the standard error. The standard output only gets an unknown size, and
    # the target of a download that never happens.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            builder.download_and_prepare(download_config=config, file_format="array_record")
        except FileExistsError:
            # Another process may have been faster.
            if not builder.data_path.exists():
                raise


def check_random_access(builder) -> None:
    """Refuse a prepared data set without files that are read in any order."""
    if "array_record" not in {kind.value for kind in builder.info.available_file_formats()}:
        raise ValueError(
            f"{builder.data_path} was prepared by another program, as "
            f"{builder.info.file_format.value}, which cannot be read in any order. Use another "
            "data_dir, or remove it to prepare it again"
        )


def text(value: bytes | str) -> str:
    """Return a stored text."""
    return value.decode() if isinstance(value, bytes) else str(value)
