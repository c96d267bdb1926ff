"""Exported files that are kept from one benchmark to the next."""

import functools
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from eseg_keras.latency.formats import FORMATS
from eseg_keras.latency.machine import installed_version

_PACKAGE = Path(__file__).parents[1]
# What decides what is in a file, beside the weights.
_SOURCES = (
    "decoders/*.py",
    "encoders/*.py",
    "export/**/*.py",
    "latency/timed_files.py",
    "latency/untrained_network.py",
    "layers/*.py",
    "models/*.py",
)
_DISTRIBUTIONS = ("tensorflow", "tensorflow-cpu", "keras", "tf2onnx", "onnx", "onnxruntime")


class Artefacts:
    """A folder of exported networks.

    A file is used again as long as this package, the packages that wrote it and the weights are the
    same; beside it stands a `.key` by which that is known.

    Args:
        folder: Made if it is not there.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def get(
        self,
        network: str,
        format_: str,
        image_size: tuple[int, int],
        weights_key: str,
        write: Callable[[Path], None],
    ) -> Path:
        """Return a file, written now unless it is there.

        Args:
            network: Name in the file's name.
            format_: One of `FORMATS`, other than `"keras"`.
            image_size: (height, width).
            weights_key: Says which weights the network has.
            write: Writes the file or directory that it is given.
        """
        if found := self.find(network, format_, image_size, weights_key):
            return found
        path, key_path = self._paths(network, format_, image_size)
        key_path.unlink(missing_ok=True)
        if path.is_dir():
            shutil.rmtree(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
        key_path.write_text(_key(weights_key), "utf-8")
        return path

    def find(
        self, network: str, format_: str, image_size: tuple[int, int], weights_key: str
    ) -> Path | None:
        """Return a file, or `None` if `get` would write it. The arguments are those of `get`."""
        path, key_path = self._paths(network, format_, image_size)
        key = key_path.read_text("utf-8") if key_path.is_file() else None
        return path if path.exists() and key == _key(weights_key) else None

    def _paths(self, network, format_, image_size):
        height, width = image_size
        stem = self.folder / network / f"{network}_{height}x{width}_{format_}"
        path = stem.with_name(stem.name + FORMATS[format_].suffix)
        return path, stem.with_name(f"{stem.name}.key")


def _key(weights_key):
    return f"{code_key()} {weights_key}"


@functools.cache
def code_key() -> str:
    """Return a digest of the code and the packages that decide what a file holds."""
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
