"""eseg_keras: ESeg, fast semantic segmentation networks for Keras 3."""

from eseg_keras import data, layers, losses, metrics, models
from eseg_keras.models import ESeg
from eseg_keras.version import __version__

__all__ = ["ESeg", "__version__", "data", "layers", "losses", "metrics", "models"]
