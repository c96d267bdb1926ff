"""The photos that a page offers to try."""

import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from eseg_keras.data.images.image_reader import read_image
from eseg_keras.street_scenes import render_scene

# Street scenes that were not trained on, chosen to look different: blue sky, a bus, autumn.
_SCENES = (1, 0, 6)
_SIZE = (512, 1024)
# Pixels of the height of a thumbnail: twice those on the page, for screens of high density.
_THUMBNAIL = 192


def write_examples(folder: Path, photos: Sequence[str | os.PathLike] | None) -> list[dict]:
    """Write photos and their thumbnails as JPEG files.

    They are written anew, so that what else a photo file holds, such as the place where it was
    taken, is not published with the page.

    Args:
        folder: Folder to write to.
        photos: Image files; `None` for drawn street scenes.

    Returns:
        For each a dict of `name`, `file` and `thumbnail`, relative to the folder above.

    Raises:
        ValueError: If one cannot be read.
    """
    if photos is None:
        images = [
            (f"street scene {number}", render_scene(index, "test", _SIZE)[0])
            for number, index in enumerate(_SCENES, 1)
        ]
    else:
        if missing := [photo for photo in photos if not Path(photo).is_file()]:
            raise ValueError(f"There is no file {missing[0]}.")
        images = ((Path(photo).stem, read_image(photo)) for photo in photos)
    folder.mkdir()
    entries = []
    for number, (name, image) in enumerate(images, 1):
        entry = {"name": name}
        picture = Image.fromarray(image)
        for kind in ("file", "thumbnail"):
            entry[kind] = f"{folder.name}/{kind}_{number}.jpg"
            if kind == "thumbnail":
                picture.thumbnail((4 * _THUMBNAIL, _THUMBNAIL))
            picture.save(folder.parent / entry[kind], quality=92, subsampling=0)
        entries.append(entry)
    return entries
