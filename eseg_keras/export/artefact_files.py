"""Files that appear whole or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


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
