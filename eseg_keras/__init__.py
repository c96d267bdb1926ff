"""eseg_keras: ESeg, fast semantic segmentation networks for Keras 3."""

import importlib
from typing import TYPE_CHECKING

from eseg_keras.registration import register_on_lookup
from eseg_keras.version import __version__

if TYPE_CHECKING:
    from eseg_keras import (
        conversion,
        data,
        decoders,
        encoders,
        evaluation,
        export,
        inference,
        latency,
        layers,
        losses,
        metrics,
        models,
        presets,
        street_scenes,
        trainer,
        training,
        visualization,
    )
    from eseg_keras.models import ESeg

__all__ = [
    "ESeg",
    "__version__",
    "conversion",
    "data",
    "decoders",
    "encoders",
    "evaluation",
    "export",
    "inference",
    "latency",
    "layers",
    "losses",
    "metrics",
    "models",
    "presets",
    "street_scenes",
    "trainer",
    "training",
    "visualization",
]


def __getattr__(name):
    """Import a subpackage, and with it Keras, on first access."""
    if name == "ESeg":
        return importlib.import_module("eseg_keras.models").ESeg
    if name in __all__:
        return importlib.import_module(f"eseg_keras.{name}")
    raise AttributeError(f"module 'eseg_keras' has no attribute '{name}'")


def __dir__():
    return sorted(__all__)


register_on_lookup()
