"""Random fields that are smooth at a chosen scale."""

import numpy as np
from PIL import Image


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], cell: float, stretch: float = 1.0
) -> np.ndarray:
    """Draws a normal random field that varies over about `cell` pixels.

    Args:
        rng: Generator to draw from.
        shape: (height, width) of the field.
        cell: Distance in rows between the random values that are interpolated.
        stretch: How many times longer that distance is along a row. Defaults to 1.0.

    Returns:
        float32 [height, width] with mean 0 and, at the random values, standard deviation 1.
    """
    if cell <= 1.0:
        return rng.standard_normal(shape, np.float32)
    coarse = (int(shape[0] / cell) + 2, int(shape[1] / (cell * stretch)) + 2)
    field = Image.fromarray(rng.standard_normal(coarse, np.float32))
    field = field.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(field)
