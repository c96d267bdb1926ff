"""Suppress log messages of converters."""

import contextlib
import logging
from collections.abc import Iterator

from absl import logging as absl_logging


@contextlib.contextmanager
def quiet(*names: str) -> Iterator[None]:
    """Let absl's logger and the loggers `names` log only errors in the block; `""` is the root."""
    # Set absl's verbosity, not the level of its logger: TensorFlow resets that level.
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
