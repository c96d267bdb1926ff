"""Objects beside the road: lamp posts, traffic lights, signs, trees, hedges,
and clutter without a class.
"""

import math

import numpy as np

from eseg_keras.street_scenes.light import Color, colors, scaled
from eseg_keras.street_scenes.materials import BARK, CLUTTER, FOLIAGE, METAL, PLATE
from eseg_keras.street_scenes.stage import Pair, Stage, rectangle

_POSTS = colors("#828487 #55585a #323734 #3c5546 #a5a096 #64503e")
_PLATES = colors("#c81e23 #ebe8e4 #2355aa #ebc328 #28784b #969696 #e17828 #78553c")

_SUMMER = colors("#46692d #325532 #5f7837 #3c5f4b #696e46 #2d4628")
_AUTUMN = colors("#be822d #a54b28 #966e3c #783c37")
_CORNERS = 26
_AROUND = np.arange(_CORNERS) * (2 * np.pi / _CORNERS)
_CIRCLE = np.stack([np.cos(_AROUND), np.sin(_AROUND)], axis=-1)


def _draw_post(stage: Stage, x: float, z: float, half: float, height: float) -> Color:
    """Draw a vertical post, lit from one side, and return its colour."""
    rng = stage.rng
    color = scaled(_POSTS[rng.integers(len(_POSTS))], rng.uniform(0.7, 1.25))
    stage.box((x - half, x + half), (0.0, height), z, color, METAL)
    sun = x + stage.light.sun_side * half * 0.5
    bright = scaled(color, 1.0 + 0.6 * stage.light.direct + 0.1)
    stage.box((sun - half * 0.5, sun + half * 0.5), (0.0, height), z, bright, METAL)
    stage.box((x - half * 1.6, x + half * 1.6), (0.0, 0.5), z, scaled(color, 0.85), METAL)
    reach = -stage.light.sun_side * stage.light.direct * 8.0
    shadow = [
        (x - half, z),
        (x + half, z),
        (x + reach + half, z + 1.5),
        (x + reach - half, z + 1.5),
    ]
    stage.shadow(shadow, stage.light.direct)
    return color


def draw_lamp_post(stage: Stage, x: float, z: float) -> None:
    """Draw a lamp post with a lantern on top, or with an arm that reaches towards the street."""
    rng = stage.rng
    half, height = rng.uniform(0.13, 0.19), rng.uniform(5.0, 8.0)
    color = _draw_post(stage, x, z, half, height)
    if rng.random() < 0.35:  # a lantern on top
        lantern = [(x - 0.2, height), (x - 0.32, height + 0.6), (x + 0.32, height + 0.6)]
        stage.polygon([*lantern, (x + 0.2, height)], z, (225, 220, 200), METAL)
        stage.box((x - 0.36, x + 0.36), (height + 0.6, height + 0.75), z, color, METAL)
        return
    toward = -1.0 if x > 0 else 1.0
    tip = x + toward * rng.uniform(1.2, 2.2)
    arm = [(x, height), (x, height - 0.3), (tip, height + 0.1), (tip, height + 0.35)]
    stage.polygon(arm, z, color, METAL)
    ends = (min(tip, tip + toward * 0.7), max(tip, tip + toward * 0.7))
    stage.box(ends, (height, height + 0.38), z, scaled(color, 0.9), METAL)


def draw_traffic_light(stage: Stage, x: float, z: float) -> None:
    """Draw a traffic light; all its pixels have the class `pole`."""
    rng = stage.rng
    height = rng.uniform(3.0, 3.8)
    _draw_post(stage, x, z, rng.uniform(0.12, 0.16), height)
    stage.box((x - 0.26, x + 0.26), (height - 1.1, height), z, (32, 34, 34), METAL)
    lit = rng.integers(3)
    for lamp, color in enumerate(((225, 40, 30), (240, 170, 40), (50, 210, 110))):
        glow = color if lamp == lit else scaled(color, 0.25)
        stage.ellipse((x, height - 0.22 - 0.33 * lamp), (0.13, 0.13), z, glow, METAL)


def draw_sign(stage: Stage, x: float, z: float) -> None:
    """Draw a round, triangular, octagonal or rectangular sign on a post."""
    rng = stage.rng
    size = rng.uniform(0.45, 0.65)
    base = rng.uniform(1.9, 2.5)
    _draw_post(stage, x, z, rng.uniform(0.1, 0.13), base + size)
    _draw_plate(stage, x, base + size, z, size)
    if rng.random() < 0.25:
        _draw_plate(stage, x, base - size * 0.9, z, size * 0.75)


def _draw_plate(stage: Stage, x: float, y: float, z: float, size: float) -> None:
    """Draw a sign plate: a rim, a face of another colour, and a mark on the face."""
    rng = stage.rng
    rim, face, mark = (_PLATES[i] for i in rng.permutation(len(_PLATES))[:3])
    rim, face = scaled(rim, rng.uniform(0.8, 1.1)), scaled(face, rng.uniform(0.8, 1.1))
    kind = rng.integers(5)
    if kind == 4:
        wide, tall = size * rng.uniform(0.9, 1.8), size * rng.uniform(0.7, 1.1)
        stage.box((x - wide, x + wide), (y - tall, y + tall), z, rim, PLATE)
        stage.box(
            (x - wide * 0.9, x + wide * 0.9), (y - tall * 0.87, y + tall * 0.87), z, face, PLATE
        )
        for line in (-0.45, 0.0, 0.45):
            ends = (x - wide * 0.7, x + wide * rng.uniform(0.1, 0.7))
            stage.box(ends, (y + tall * line - 0.06, y + tall * line + 0.06), z, mark, PLATE)
        return
    # A disc, a triangle (point up or down) or an octagon: number of corners, angle of the first
    # corner divided by pi.
    corners, first = ((24, 0.0), (3, 0.5), (3, -0.5), (8, 0.125))[kind]
    reach = size * (1.25 if corners == 3 else 1.05)
    for radius, color in ((reach, rim), (reach * 0.76, face)):
        angles = [math.pi * (first + 2 * i / corners) for i in range(corners)]
        points = [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]
        stage.polygon(points, z, color, PLATE)
    if rng.random() < 0.5:
        stage.box((x - size * 0.5, x + size * 0.5), (y - 0.08, y + 0.08), z, mark, PLATE)
    else:
        stage.box((x - 0.08, x + 0.08), (y - size * 0.4, y + size * 0.4), z, mark, PLATE)


def draw_clutter(stage: Stage, x: float, z: float) -> None:
    """Draw clutter, such as a bin, a box or a bollard; it has no class and is void in the mask."""
    rng = stage.rng
    color = scaled((rng.uniform(50, 170), rng.uniform(60, 150), rng.uniform(50, 150)), 0.9)
    wide, tall = rng.uniform(0.2, 0.5), rng.uniform(0.6, 1.2)
    stage.shadow(rectangle((x - wide, x + wide), (z - 0.2, z + 0.5)), 0.5)
    body = [(x - wide * 0.85, 0.0), (x - wide, tall), (x + wide, tall), (x + wide * 0.85, 0.0)]
    stage.polygon(body, z, color, CLUTTER)
    stage.box((x - wide * 1.1, x + wide * 1.1), (tall, tall + 0.1), z, scaled(color, 0.6), CLUTTER)


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
    leaves = _AUTUMN if rng.random() < 0.2 and not conifer else _SUMMER
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
    color = scaled(_SUMMER[rng.integers(len(_SUMMER))], rng.uniform(0.7, 1.1))
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
