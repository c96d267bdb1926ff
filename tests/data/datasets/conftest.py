"""Small data sets with the file layout of the published ones."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def image_bytes():
    """Function (array or Pillow image, format) -> bytes of an image file."""

    def encode(picture, kind="PNG"):
        if isinstance(picture, np.ndarray):
            picture = Image.fromarray(picture)
        buffer = io.BytesIO()
        picture.save(buffer, kind)
        return buffer.getvalue()

    return encode


@pytest.fixture
def palette_png(image_bytes):
    """Function (labels [H, W], colours) -> bytes of a palette PNG."""

    def encode(labels, colors):
        picture = Image.fromarray(labels).convert("P")
        picture.putdata(labels.flatten())
        picture.putpalette(np.asarray(colors, np.uint8).tobytes())
        return image_bytes(picture)

    return encode


@pytest.fixture
def write_files():
    """Function that writes {path: bytes} to a zip archive or to a folder."""

    def write(target, files):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".zip":
            with zipfile.ZipFile(target, "w") as archive:
                for path, content in files.items():
                    archive.writestr(path, content)
        else:
            for path, content in files.items():
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                (target / path).write_bytes(content)

    return write
