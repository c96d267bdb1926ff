"""The files that a prediction becomes."""

from pathlib import Path

import numpy as np
from PIL import Image

from eseg_keras.files import atomic_file
from eseg_keras.inference.prediction import Prediction

# Four times as quick as the default for pictures that are a fifth larger (photos of 1024x2048).
_QUICK = 1


def write_outputs(
    prediction: Prediction, paths: dict[str, Path], alpha: float = 0.5, legend: bool = True
) -> None:
    """Write the outputs of an image, each file atomically.

    Args:
        prediction: What is known of the picture.
        paths: Where to write what, in this order. Kinds are `"overlays"`, a PNG of the classes'
            colours over the picture; `"labels"`, a PNG in palette mode whose pixel values are class
            ids; `"confidence"`, `"entropy"` and `"margin"`, PNGs whose 0..255 stand for 0..1; and
            `"probabilities"`, an NPZ file with one array `probabilities`, float16 [H, W, C].
        alpha: Strength of the overlay's colours, 0 to 1. Defaults to 0.5.
        legend: Whether the overlay names the classes found. Defaults to `True`.
    """
    for kind, path in paths.items():
        with atomic_file(path) as temporary:
            _write(prediction, kind, temporary, alpha, legend)


def _write(prediction, kind, path, alpha, legend):
    if kind == "probabilities":
        with path.open("wb") as file:
            np.savez_compressed(file, probabilities=prediction.probabilities.astype("float16"))
    elif kind == "labels":
        prediction.label_image().save(path, "PNG")
    elif kind == "overlays":
        picture = prediction.overlay(alpha, legend)
        picture.save(path, "PNG", compress_level=_QUICK)
    else:
        grey = np.rint(getattr(prediction, kind).clip(0, 1) * 255).astype("uint8")
        Image.fromarray(grey).save(path, "PNG", compress_level=_QUICK)
