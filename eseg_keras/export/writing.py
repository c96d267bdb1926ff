"""Write a file whole or not at all, and keep converters quiet meanwhile."""

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from absl import logging as absl_logging


@contextlib.contextmanager
def temporary_output(output: str | os.PathLike) -> Iterator[Path]:
    """Give a name to write to; what is left under it at the end is removed.

    Args:
        output: The file or directory that is to be.

    Yields:
        A path in the same folder, which is made: rename it to `output` once it is good.
    """
    output = Path(output)
    is_new = not output.parent.exists()
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.tmp")
    _remove(temporary)
    try:
        yield temporary
    finally:
        _remove(temporary)
        if is_new:
            with contextlib.suppress(OSError):
                output.parent.rmdir()  # Fails if it holds anything.


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def quiet(*names: str) -> Iterator[None]:
    """Let loggers speak of errors only: what converters say is not for whoever exports.

    Args:
        *names: Names of loggers besides absl's, which is always among them; an empty one is the
            root logger.
    """
    # TensorFlow sets the level of absl's logger to absl's verbosity now and then.
    verbosity = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.ERROR)
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        absl_logging.set_verbosity(verbosity)
