"""Trees, bushes and hedges."""

import math

import numpy as np

from eseg_keras.street_scenes.light import Color, colors, scaled
from eseg_keras.street_scenes.materials import BARK, FOLIAGE
from eseg_keras.street_scenes.stage import Pair, Stage

SUMMER = colors("#46692d #325532 #5f7837 #3c5f4b #696e46 #2d4628")
AUTUMN = colors("#be822d #a54b28 #966e3c #783c37")

_CORNERS = 26
_AROUND = np.arange(_CORNERS) * (2 * np.pi / _CORNERS)
_CIRCLE = np.stack([np.cos(_AROUND), np.sin(_AROUND)], axis=-1)


def _leaf_blob(stage: Stage, center: Pair, radius: Pair, z: float, color: Color) -> None:
    """Paint an ellipse of leaves with an irregular edge."""
    ragged = 1.0 + 0.13 * stage.rng.standard_normal((_CORNERS, 1))
    points = np.array(center) + np.array(radius) * ragged * _CIRCLE
    stage.polygon(points.tolist(), z, color, FOLIAGE)


def draw_tree(stage: Stage, x: float, z: float) -> None:
    """Draw a broad-leaved tree (green, in autumn colours or bare) or a conifer."""
    rng = stage.rng
    height = rng.uniform(4.5, 9.0)
    trunk = rng.uniform(0.16, 0.26)
    clear = rng.uniform(1.6, 2.6)
    bark = scaled((105, 88, 70), rng.uniform(0.5, 1.2))
    stage.shadow(_oval(x, z, 2.0, 1.6), 0.35 + stage.light.direct * 0.5)
    taper = [(x - trunk, 0), (x + trunk, 0)]
    taper += [(x + trunk * 0.7, clear + 1), (x - trunk * 0.7, clear + 1)]
    stage.polygon(taper, z, bark, BARK)
    kind = rng.random()
    if kind < 0.07:
        _draw_branches(
            stage, (x, clear), math.pi / 2, (height - clear) * 0.45, trunk * 1.5, z, bark, 3
        )
        return
    conifer = kind < 0.2
    leaves = AUTUMN if rng.random() < 0.2 and not conifer else SUMMER
    color = scaled(leaves[rng.integers(len(leaves))], rng.uniform(0.75, 1.3))
    sun = stage.light.sun_side
    if conifer:  # five tiers, from bottom to top
        for tier in range(5):
            low = 0.6 + (height - 0.6) * tier / 5.5
            half = (0.32 - 0.05 * tier) * height * 0.75
            top = low + height * 0.36
            edge = [(x - half, low), (x - half * 0.4, low - 0.2), (x + half * 0.4, low - 0.1)]
            stage.polygon([*edge, (x + half, low), (x, top)], z, scaled(color, 0.8), FOLIAGE)
            lit = [(x, low), (x + sun * half * 0.9, low + 0.1), (x, top)]
            stage.polygon(lit, z, scaled(color, 1.0 + stage.light.direct), FOLIAGE)
        return
    middle, tall = (clear + height) / 2, (height - clear) / 2
    wide = tall * rng.uniform(0.6, 1.15)
    _leaf_blob(stage, (x, middle), (wide, tall), z, scaled(color, 0.72))
    for _ in range(7):  # clusters of leaves, brighter towards the sun
        across, up = rng.uniform(-0.65, 0.65, 2)
        size = rng.uniform(0.3, 0.5)
        bright = 0.9 + (across * sun + up) * (0.15 + 0.5 * stage.light.direct)
        center = (x + across * wide, middle + up * tall)
        _leaf_blob(stage, center, (wide * size, tall * size), z, scaled(color, bright))


def _draw_branches(
    stage: Stage,
    start: Pair,
    angle: float,
    length: float,
    width: float,
    z: float,
    color: Color,
    depth: int,
) -> None:
    """Draw a branch and, recursively, the branches at its end."""
    end = (start[0] + length * math.cos(angle), start[1] + length * math.sin(angle))
    across = (math.sin(angle) * width / 2, -math.cos(angle) * width / 2)
    tip = 0.7
    corners = [
        (x + side * across[0], y + side * across[1])
        for (x, y), side in ((start, -1), (start, 1), (end, tip), (end, -tip))
    ]
    stage.polygon(corners, z, color, BARK)
    if depth == 0:
        return
    for turn in (-0.55, 0.05, 0.6):
        turn += stage.rng.uniform(-0.2, 0.2)
        _draw_branches(stage, end, angle + turn, length * 0.72, width * tip, z, color, depth - 1)


def draw_hedge(stage: Stage, x: float, near: float, far: float) -> None:
    """Draw a hedge along the street at `x`."""
    rng = stage.rng
    color = scaled(SUMMER[rng.integers(len(SUMMER))], rng.uniform(0.7, 1.1))
    height = rng.uniform(0.9, 1.8)
    outward = 1.0 if x > 0 else -1.0
    front = (x, x + outward)
    stage.box((min(front), max(front)), (0, height), near, color, FOLIAGE)
    corners = [(0.0, near), (height, near), (height, far), (0.0, far)]
    stage.side(x, corners, color, FOLIAGE, -outward)


def _oval(x: float, z: float, wide: float, deep: float) -> list[Pair]:
    """Return an ellipse on the ground as points (x, z)."""
    steps = [2 * math.pi * step / 12 for step in range(12)]
    return [(x + wide * math.cos(s), max(1.0, z + deep * math.sin(s))) for s in steps]
