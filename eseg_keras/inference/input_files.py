"""Find the images and videos to predict, and the names of their outputs."""

import itertools
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from eseg_keras.data.images.image_reader import ImageFileError, read_image
from eseg_keras.data.images.walker import IMAGE_SUFFIXES, find_images
from eseg_keras.inference.videos import VIDEO_SUFFIXES, read_frames


@dataclass(frozen=True)
class ImageSource:
    """The name of an image, and a function that reads it or raises ValueError."""

    name: str
    read: Callable[[], np.ndarray]


def image_sources(inputs: Any, **reading: Any) -> Iterator[ImageSource]:
    """Yield the images of any input of `Predictor.predict`.

    `reading` are arguments of `read_image`. An unreadable path yields a source whose `read` raises
    the error.
    """
    number = itertools.count()
    for image in _flat(inputs):
        if isinstance(image, str | Path):
            yield from _sources_of_path(Path(image), reading)
        else:
            # Pillow reads image files lazily: for a damaged file, `read` raises the error.
            name = f"image {next(number)}"
            yield ImageSource(name, partial(read_image, image, **reading))


def file_source(path: Path, **reading: Any) -> ImageSource:
    """Return the `ImageSource` of an image file; `reading` are arguments of `read_image`."""
    return ImageSource(str(path), partial(read_image, path, **reading))


def _flat(inputs):
    """Yield the paths, arrays and Pillow images in nested inputs."""
    if isinstance(inputs, str | Path | Image.Image):
        yield inputs
    elif isinstance(inputs, np.ndarray):
        yield from inputs if inputs.ndim == 4 else [inputs]
    elif isinstance(inputs, Iterable):
        for image in inputs:
            yield from _flat(image)
    else:
        raise ValueError(
            "Expected a path, an array, a Pillow image, or an iterable of these. "
            f"Received: {type(inputs).__name__}"
        )


def _sources_of_path(path, reading):
    """Yield the images of an image file, a video, or a folder of images and videos."""
    try:
        if path.is_dir():
            frames = reading.get("first_frame", False)
            for file in _find_in_folder(path, recursive=False, first_frame=frames):
                yield from _sources_of_path(file, reading)
        elif not path.is_file():
            raise ImageFileError(path, ["there is no such file or folder"])
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            for number, frame in enumerate(read_frames(path)):
                yield ImageSource(f"{path}#{number}", partial(np.asarray, frame))
        else:
            yield file_source(path, **reading)
    except ImageFileError as error:
        yield ImageSource(str(path), partial(_fail, error))


def _fail(error):
    raise error


def _find_in_folder(folder, recursive, **options):
    """List the images and videos of a folder."""
    suffixes = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    try:
        return find_images(
            folder, kind="image or video", suffixes=suffixes, recursive=recursive, **options
        )
    except ValueError as error:
        problem = str(error)
        if not recursive and any(path.is_dir() for path in Path(folder).iterdir()):
            problem += "; to search its subfolders, use eseg predict --recursive"
        raise ImageFileError(folder, [problem]) from error


@dataclass(frozen=True)
class InputFile:
    """An image or a video file.

    Attributes:
        path: The file.
        name: Name of the file's outputs, without suffix: the path of the file relative to the input
            folder, or the file's own name if the file itself is an input.
        size: Size in bytes.
        modified: Time of the last change, in nanoseconds.
    """

    path: Path
    name: str
    size: int
    modified: int

    @property
    def is_video(self) -> bool:
        """Whether the file has the suffix of a video."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES


def find_files(
    inputs: Iterable[str | Path],
    recursive: bool = False,
    exclude: str | Path | None = None,
    log_skipped: bool = True,
    first_frame: bool = False,
) -> list[InputFile]:
    """List the images and videos of files and folders, in the order of `inputs`.

    The files of a folder are sorted; hidden files are skipped. With `recursive`, subfolders are
    also searched, and are part of the outputs' names. The folder `exclude`, such as the output
    folder, is not searched. Raise ValueError if there is no file, or if two files have the same
    output name.
    """
    options = {"exclude": exclude, "log_skipped": log_skipped, "first_frame": first_frame}
    files = []
    for given in map(Path, inputs):
        if given.is_dir():
            found = _find_in_folder(given, recursive, **options)
            files += [_input_file(path, path.relative_to(given)) for path in found]
        elif given.is_file():
            files.append(_input_file(given, Path(given.name)))
        else:
            raise ValueError(f"There is no file or folder {given}.")
    if not files:
        raise ValueError("There is nothing to predict. Pass images, videos, or folders of them.")
    keys = [_output_key(file) for file in files]
    key, count = Counter(keys).most_common(1)[0]
    if count > 1:
        same = ", ".join(
            str(file.path) for file, own in zip(files, keys, strict=True) if own == key
        )
        raise ValueError(
            f"These files would get the same output names: {same}. Rename them, or predict them "
            "into different folders."
        )
    return files


def _output_key(file):
    """Return the unique key: macOS and Windows ignore case, and macOS the Unicode form."""
    # An image and a video may have the same name: their outputs are in different folders.
    return file.is_video, unicodedata.normalize("NFC", file.name).casefold()


def _input_file(path, name):
    state = path.stat()
    return InputFile(path, name.with_suffix("").as_posix(), state.st_size, state.st_mtime_ns)
