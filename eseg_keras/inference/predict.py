"""Pictures in, overlays and label maps out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from eseg_keras.data.geometry import resize_long_side, scaled
from eseg_keras.data.image_files import (
    IMAGE_SUFFIXES,
    UNREADABLE,
    ImageFileError,
    no_images,
    read_photo,
)
from eseg_keras.inference.legend import add_legend
from eseg_keras.inference.overlays import default_palette, label_image, overlay

# Below it a pyramid level would have no pixel left: `ESeg.segment` refuses such images.
SMALLEST_SIDE = 32
MOST_NAMED = 20


def find_images(inputs: Iterable[str | Path]) -> list[Path]:
    """List the pictures among files and folders.

    Args:
        inputs: Files, and folders whose pictures (JPEG, PNG, BMP, WebP) are taken, not hidden
            ones nor those in folders below.

    Returns:
        The paths; those of a folder are sorted.

    Raises:
        ValueError: If an input does not exist, a folder holds no picture, or two pictures would
            get outputs of the same name.
    """
    paths = []
    for given in map(Path, inputs):
        if given.is_dir():
            # Hidden files are left alone: macOS writes a ._NAME.jpg, no picture, beside NAME.jpg.
            files = [p for p in given.iterdir() if p.is_file() and not p.name.startswith(".")]
            found = sorted(p for p in files if p.suffix.lower() in IMAGE_SUFFIXES)
            if not found:
                raise ValueError(f"{given}: {no_images(files)}.")
            paths += found
        elif given.is_file():
            paths.append(given)
        else:
            raise ValueError(f"There is no file or folder {given}.")
    stem, count = Counter(path.stem for path in paths).most_common(1)[0] if paths else ("", 1)
    if count > 1:
        same = ", ".join(str(path) for path in paths if path.stem == stem)
        raise ValueError(f"These pictures would get the same output names: {same}.")
    return paths


def predict_files(
    model,
    paths: Sequence[Path],
    output: str | Path,
    alpha: float = 0.5,
    long_side: int | None = None,
) -> Iterator[Path]:
    """Segment pictures and write an overlay and a label map for each.

    Args:
        model: An `ESeg` model.
        paths: Pictures of any size from 32x32 up.
        output: Folder for `overlays/NAME.png`, with a legend of the classes found, and
            `labels/NAME.png`, whose pixel values are the class ids. Existing files are replaced.
        alpha: Strength of the colours in the overlays, 0 to 1. Defaults to 0.5.
        long_side: Longer side in pixels at which the model sees the pictures, as in its training;
            the results still have the pictures' own sizes. `None`, the default, keeps those.

    Yields:
        The path of each overlay, when both files are written.

    Raises:
        ValueError: If pictures are too small or are no pictures, before anything is written; or if
            one turns out to be damaged further on, after the ones before it are written.
    """
    _check_sizes(paths, long_side)
    output = Path(output)
    palette = model.palette or default_palette(model.num_classes)
    names = model.class_names or [f"class {label}" for label in range(model.num_classes)]
    for path in paths:
        image = read_photo(path)
        label_map = _segment(model, image, long_side)
        found = [label for label in np.unique(label_map) if label < len(names)]
        picture = add_legend(
            Image.fromarray(overlay(image, label_map, palette, alpha)),
            [names[label] for label in found],
            [palette[label] for label in found],
        )
        _save(label_image(label_map, palette), output / "labels" / f"{path.stem}.png")
        target = output / "overlays" / f"{path.stem}.png"
        _save(picture, target)
        yield target


def _check_sizes(paths, long_side):
    """Refuse pictures below the smallest that a network takes, by the sizes in their headers."""
    small = []
    for path in paths:
        try:
            with Image.open(path) as picture:
                width, height = picture.size
        except Exception as error:  # Pillow lets many kinds through for damaged files.
            raise ImageFileError(path, [UNREADABLE]) from error
        size = (height, width)
        if long_side is not None:
            size = scaled(size, long_side / max(size))
        if min(size) < SMALLEST_SIDE:
            seen = "" if long_side is None else f", {size[0]}x{size[1]} at long_side={long_side}"
            small.append(f"{path} ({height}x{width}{seen})")
    if small:
        shown = ", ".join(small[:MOST_NAMED])
        if len(small) > MOST_NAMED:
            shown += f", and {len(small) - MOST_NAMED} more"
        raise ValueError(
            f"Pictures must be at least {SMALLEST_SIDE}x{SMALLEST_SIDE} pixels, height by width. "
            f"Received: {shown}. Leave them out, or scale them up."
        )


def _segment(model, image, long_side):
    """Label map of an image in the image's own size."""
    if long_side is None:
        return np.asarray(model.segment(image))
    height, width = image.shape[:2]
    # The function wants a mask of the image's size; only the image is used.
    seen, _ = resize_long_side(image, np.zeros((height, width), np.uint8), long_side)
    labels = Image.fromarray(np.asarray(model.segment(seen)))
    return np.asarray(labels.resize((width, height), Image.Resampling.NEAREST))


def _save(picture, path):
    # A temporary name first: a reader never sees half a file.
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    picture.save(temporary, format="PNG")
    temporary.replace(path)
