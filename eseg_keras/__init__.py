"""eseg_keras: ESeg, fast semantic segmentation networks for Keras 3."""

import importlib

# The core is imported at once: it registers its classes, which `keras.models.load_model` looks up.
from eseg_keras import decoders, encoders, layers, losses, metrics, models, trainer
from eseg_keras.models import ESeg
from eseg_keras.version import __version__

# These need more than the core, and wait until they are used.
_LAZY = (
    "data",
    "evaluation",
    "export",
    "inference",
    "latency",
    "street_scenes",
    "training",
    "visualization",
)

__all__ = [
    "ESeg",
    "__version__",
    "decoders",
    "encoders",
    "layers",
    "losses",
    "metrics",
    "models",
    "trainer",
    *_LAZY,
]


def __getattr__(name):
    if name in _LAZY:
        return importlib.import_module(f"eseg_keras.{name}")
    raise AttributeError(f"module 'eseg_keras' has no attribute '{name}'")


def __dir__():
    return sorted(__all__)
