"""eseg_keras: ESeg, fast semantic segmentation networks for Keras 3."""

import importlib

from eseg_keras.version import __version__

_MODULES = ("data", "inference", "layers", "losses", "metrics", "models", "training")

__all__ = ["ESeg", "__version__", *_MODULES]


def __getattr__(name):
    # Keras loads its backend, which takes seconds: not before something needs it, so that
    # `eseg --help` answers at once.
    if name == "ESeg":
        return importlib.import_module("eseg_keras.models").ESeg
    if name in _MODULES:
        return importlib.import_module(f"eseg_keras.{name}")
    raise AttributeError(f"module 'eseg_keras' has no attribute '{name}'")


def __dir__():
    return sorted(__all__)
