import json

import numpy as np
import pytest
from PIL import Image

from eseg_keras.conversion import convert


@pytest.fixture
def write(tmp_path):
    """Function (name, content, ...) that writes an image, JSON, bytes or text to `source`."""

    def write(name, content, **options):
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Image.Image):
            content.save(path, **options)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


@pytest.fixture
def converted(tmp_path):
    """Function (format, ...) that converts `source` to `data`.

    It returns the conversion and {name: mask}.
    """

    def run(format, **options):
        done = convert(format, tmp_path / "source", tmp_path / "data", verbose=False, **options)
        root = tmp_path / "data" / "annotations"
        masks = {
            path.relative_to(root).with_suffix("").as_posix(): np.asarray(Image.open(path))
            for path in sorted(root.rglob("*.png"))
        }
        return done, masks

    return run
