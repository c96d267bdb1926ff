"""Cache of exported files, so that later measurements can reuse them."""

import dataclasses
import functools
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from eseg_keras.files import locked, write_text
from eseg_keras.latency.formats import FORMATS
from eseg_keras.machine import installed_version

_PACKAGE = Path(__file__).parents[1]
# Source files that, together with the weights, determine the content of an exported file.
_SOURCES = (
    "decoders/*.py",
    "encoders/*.py",
    "export/**/*.py",
    "latency/exporting.py",
    "layers/*.py",
    "models/*.py",
    "presets/catalog.py",
    "street_scenes/*.py",
)
_DISTRIBUTIONS = (
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "openvino",
)


@dataclasses.dataclass(frozen=True)
class CachedFile:
    """An exported file in the cache; the `.key` file beside it tells whether it is up to date."""

    folder: str | Path
    network: str
    format: str
    image_size: tuple[int, int]
    weights_key: str

    @property
    def path(self) -> Path:
        """Path of the exported file, or of the directory of a SavedModel."""
        return self._path(FORMATS[self.format].suffix)

    def is_current(self) -> bool:
        """Return whether the file was written with the current code, packages and weights."""
        key = self._path(".key")
        return self.path.exists() and key.is_file() and key.read_text("utf-8") == self._key()

    def write(self, write: Callable[[Path], None]) -> None:
        """Call `write(path)` to replace the file, and record that it is up to date.

        Raises `FileInUseError` if another process writes the file.
        """
        key = self._path(".key")
        with locked(key.parent, key.name):
            key.unlink(missing_ok=True)
            if self.path.is_dir():
                shutil.rmtree(self.path)
            write(self.path)
            write_text(key, self._key())

    def _path(self, suffix):
        height, width = self.image_size
        name = f"{self.network}_{height}x{width}_{self.format}{suffix}"
        return Path(self.folder, self.network, name)

    def _key(self):
        return f"{code_key()} {self.weights_key}"


@functools.cache
def code_key() -> str:
    """Return a digest of the code and the packages that determine the content of a file."""
    digest = hashlib.sha256()
    for pattern in _SOURCES:
        for source in sorted(_PACKAGE.glob(pattern)):
            digest.update(source.read_bytes())
    for name in _DISTRIBUTIONS:
        digest.update(f"{name} {installed_version(name)}\n".encode())
    return digest.hexdigest()


def weights_key(model: keras.Model) -> str:
    """Return a digest of the weights of a model."""
    digest = hashlib.sha256()
    for variable in model.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)))
    return digest.hexdigest()
