"""Random fields that are smooth at a chosen scale."""

import numpy as np
from PIL import Image


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], cell: float, stretch: float = 1.0
) -> np.ndarray:
    """Return a random field, float32 [height, width], that varies over about `cell` rows.

    It interpolates a coarse grid of normally distributed values, whose cells are `stretch` times as
    wide as high.
    """
    if cell <= 1.0:
        return rng.standard_normal(shape, np.float32)
    coarse = (int(shape[0] / cell) + 2, int(shape[1] / (cell * stretch)) + 2)
    field = Image.fromarray(rng.standard_normal(coarse, np.float32))
    field = field.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(field)
