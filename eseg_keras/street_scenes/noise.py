"""Smooth random fields."""

import numpy as np
from PIL import Image


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], cell: float, stretch: float = 1.0
) -> np.ndarray:
    """Return a smooth random field, float32 [height, width].

    It interpolates a coarse grid of normally distributed values. The cells of the grid are `cell`
    pixels high and `stretch` times as wide.
    """
    if cell <= 1.0:
        return rng.standard_normal(shape, np.float32)
    coarse = (int(shape[0] / cell) + 2, int(shape[1] / (cell * stretch)) + 2)
    field = Image.fromarray(rng.standard_normal(coarse, np.float32))
    field = field.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(field)
