"""The pictures and videos that a prediction goes through, and the names of their outputs."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from eseg_keras.inference.images import find_inputs
from eseg_keras.inference.videos import VIDEO_SUFFIXES


@dataclass(frozen=True)
class InputFile:
    """A picture or a video.

    Attributes:
        path: The file.
        name: Name of its outputs, without suffix: its own, after the folders between it and the
            folder that was given.
        size: Bytes.
        modified: When it was changed last, in nanoseconds.
    """

    path: Path
    name: str
    size: int
    modified: int

    @property
    def is_video(self) -> bool:
        """Whether it is read as a video, by its suffix."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES


def find_files(
    inputs: Iterable[str | Path],
    recursive: bool = False,
    leave_out: str | Path | None = None,
    log_skipped: bool = True,
) -> list[InputFile]:
    """List the pictures and videos among files and folders.

    Args:
        inputs: Files, and folders whose pictures and videos are taken, not hidden ones.
        recursive: Whether folders below are searched as well. Their names become part of the
            outputs'. Defaults to `False`.
        leave_out: Folder that is not searched: that of the outputs.
        log_skipped: Whether the log counts other files of the folders. Defaults to `True`.

    Returns:
        The files in the order given; those of a folder are sorted.

    Raises:
        ValueError: If there is no input, one does not exist, a folder holds nothing to predict, or
            two files would get outputs of the same name.
    """
    files = []
    for given in map(Path, inputs):
        if given.is_dir():
            found = find_inputs(given, recursive, exclude=leave_out, log_skipped=log_skipped)
            files += [_input_file(path, path.relative_to(given)) for path in found]
        elif given.is_file():
            files.append(_input_file(given, Path(given.name)))
        else:
            raise ValueError(f"There is no file or folder {given}.")
    if not files:
        raise ValueError("There is nothing to predict. Give pictures, videos, or folders of them.")
    # A picture and a video of one name are kept apart by their folders.
    counts = Counter((file.is_video, file.name) for file in files)
    key, count = counts.most_common(1)[0]
    if count > 1:
        same = ", ".join(str(file.path) for file in files if (file.is_video, file.name) == key)
        raise ValueError(f"These files would get the same output names: {same}.")
    return files


def _input_file(path, name):
    state = path.stat()
    return InputFile(path, name.with_suffix("").as_posix(), state.st_size, state.st_mtime_ns)
