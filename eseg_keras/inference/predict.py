"""Pictures in, overlays and label maps out."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from eseg_keras.data.image_files import IMAGE_SUFFIXES, read_photo
from eseg_keras.inference.legend import add_legend
from eseg_keras.inference.overlay import default_palette, label_image, overlay


def find_images(inputs: Iterable[str | Path]) -> list[Path]:
    """List the pictures among files and folders.

    Args:
        inputs: Files, and folders whose pictures (JPEG, PNG, BMP, WebP) are taken, not those in
            folders below.

    Returns:
        The paths; those of a folder are sorted.

    Raises:
        ValueError: If an input does not exist, a folder holds no picture, or two pictures would
            get outputs of the same name.
    """
    paths = []
    for given in map(Path, inputs):
        if given.is_dir():
            found = sorted(p for p in given.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            if not found:
                raise ValueError(
                    f"{given} holds no pictures ({', '.join(sorted(IMAGE_SUFFIXES))})."
                )
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
    model, paths: Iterable[Path], output: str | Path, alpha: float = 0.5
) -> Iterator[Path]:
    """Segment pictures and write an overlay and a label map for each.

    Args:
        model: An `ESeg` model.
        paths: Pictures of any size from 32x32 up.
        output: Folder for `overlays/NAME.png`, with a legend of the classes found, and
            `labels/NAME.png`, whose pixel values are the class ids. Existing files are replaced.
        alpha: Strength of the colours in the overlays, 0 to 1. Defaults to 0.5.

    Yields:
        The path of each overlay, when both files are written.

    Raises:
        ValueError: If a picture cannot be read; the ones before it are written.
    """
    output = Path(output)
    palette = model.palette or default_palette(model.num_classes)
    names = model.class_names or [f"class {label}" for label in range(model.num_classes)]
    for path in paths:
        image = read_photo(path)
        label_map = np.asarray(model.segment(image))
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


def _save(picture, path):
    # A temporary name first: a reader never sees half a file.
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    picture.save(temporary, format="PNG")
    temporary.replace(path)
