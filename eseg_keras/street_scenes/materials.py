"""The materials of a street scene, the class and texture of each, and the noise of textures.

The renderer paints materials, not classes: a wall and a window both have the class `building`, but
different textures. The mask is computed from the map of materials by the table `MATERIAL_CLASS`.
"""

import numpy as np
from PIL import Image

CLASS_NAMES = ("road", "sky", "building", "tree", "vehicle", "pedestrian", "pole", "sign")
"""The eight classes, in the order of their labels."""

PALETTE = (
    (128, 64, 128),
    (70, 130, 180),
    (70, 70, 70),
    (107, 142, 35),
    (0, 0, 142),
    (220, 20, 60),
    (250, 170, 30),
    (0, 200, 180),
)
"""One RGB colour per class, to show masks."""

IGNORE_LABEL = 255
"""Label of void pixels: kerbs, clutter, the bonnet of the camera's car, edges between classes."""

# Name, class (`None` for void), and standard deviations of the relative brightness at three scales:
# single pixels, small patches, large patches.
_TABLE = (
    ("sky", "sky", 0.0, 0.0, 0.0),
    ("asphalt", "road", 0.06, 0.04, 0.05),
    ("paving", "road", 0.06, 0.06, 0.05),
    ("paint", "road", 0.05, 0.10, 0.06),
    ("wall", "building", 0.04, 0.04, 0.05),
    ("glass", "building", 0.01, 0.02, 0.09),
    ("foliage", "tree", 0.12, 0.20, 0.13),
    ("bark", "tree", 0.08, 0.14, 0.05),
    ("bodywork", "vehicle", 0.01, 0.02, 0.05),
    ("cloth", "pedestrian", 0.05, 0.09, 0.05),
    ("metal", "pole", 0.03, 0.04, 0.05),
    ("plate", "sign", 0.02, 0.02, 0.04),
    ("clutter", None, 0.05, 0.06, 0.05),
)

SKY, ASPHALT, PAVING, PAINT, WALL, GLASS, FOLIAGE, BARK, BODYWORK, CLOTH, METAL, PLATE, CLUTTER = (
    range(len(_TABLE))
)

MATERIAL_CLASS = np.full(256, IGNORE_LABEL, np.uint8)
for _material, (_, _name, *_) in enumerate(_TABLE):
    if _name is not None:
        MATERIAL_CLASS[_material] = CLASS_NAMES.index(_name)

GRAIN = np.array([row[2:] for row in _TABLE], np.float32)
"""float32 [materials, 3]: strength of the texture at the three scales of `_TABLE`."""

ON_GROUND = np.array([row[0] in ("asphalt", "paving", "paint") for row in _TABLE], np.float32)
"""float32 [materials]: 1 for the flat ground, where haze depends on the image row; else 0."""


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], cell: float, stretch: float = 1.0
) -> np.ndarray:
    """Return a smooth random field, float32 [height, width].

    The field interpolates a coarse grid of normally distributed values. The cells of the grid are
    at most `cell` pixels high and at most `cell * stretch` pixels wide. If `cell` is at most 1,
    every pixel has its own value.
    """
    if cell <= 1.0:
        return rng.standard_normal(shape, np.float32)
    coarse = (int(shape[0] / cell) + 2, int(shape[1] / (cell * stretch)) + 2)
    field = Image.fromarray(rng.standard_normal(coarse, np.float32))
    field = field.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(field)
