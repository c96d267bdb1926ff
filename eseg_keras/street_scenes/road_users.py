"""Pedestrians, and vehicles seen from the front, from behind or from the side."""

from dataclasses import dataclass

import numpy as np

from eseg_keras.street_scenes.light import Color, colors, scaled
from eseg_keras.street_scenes.materials import BODYWORK, CLOTH
from eseg_keras.street_scenes.stage import Stage, rectangle

_PAINTS = colors(
    "#969698 #696b6e #2d2f34 #e1e1e1 #aa2323 #82afd7 #2d5096 #50733c #3c5f4b "
    "#beaf8c #d7b43c #78503c"
)
_SKINS = colors("#ecc8af #cda07d #96694b #5f4130")
_HAIR = colors("#231c18 #553a26 #be9b64 #969491")
BLACK: Color = (22, 22, 24)
_GLASS_COLOR: Color = (58, 68, 78)
_SILL = 0.28
"""Height of a vehicle's underside above the ground in metres."""


@dataclass(frozen=True)
class Shape:
    """Dimensions of a vehicle in metres; `half` is half the width."""

    half: float
    waist: float
    """Height of the lower edge of the windows."""
    height: float
    length: float
    roof: float
    """Width of the roof, relative to the width of the body."""
    snout: float
    """Length of the bonnet or boot at the near end; 0 if the near end is flat."""
    panes: int
    """Number of side windows."""


_CAR = Shape(half=0.92, waist=0.85, height=1.5, length=4.3, roof=0.74, snout=0.9, panes=2)
_VAN = Shape(half=1.0, waist=1.1, height=2.3, length=5.2, roof=0.92, snout=0.4, panes=2)
_BUS = Shape(half=1.25, waist=1.2, height=3.1, length=10.0, roof=0.97, snout=0.0, panes=6)


def _paint(rng: np.random.Generator) -> Color:
    return scaled(_PAINTS[rng.integers(len(_PAINTS))], rng.uniform(0.8, 1.15))


def draw_vehicle(stage: Stage, x: float, z: float) -> None:
    """Draw a car, van or bus: seen from the front if it is left of the camera, else from behind."""
    rng = stage.rng
    shape = (_CAR, _VAN, _BUS)[rng.choice(3, p=(0.72, 0.16, 0.12))]
    high = shape.height * rng.uniform(0.93, 1.1)
    snout = 0.0 if x > 0 and rng.random() < 0.5 else shape.snout * rng.uniform(0.7, 1.2)
    paint = _paint(rng)
    half, roof, waist, far = shape.half, shape.half * shape.roof, shape.waist, z + shape.length
    _draw_shadow(stage, x, half, z, far)
    if abs(x) > half:  # one flank is visible
        side = -1.0 if x > 0 else 1.0
        _draw_flank(stage, shape, x, side, (z, z + snout, far), high, paint)
    for wheel in (x - half + 0.16, x + half - 0.16):
        stage.box((wheel - 0.14, wheel + 0.14), (0.0, 0.5), z, BLACK, BODYWORK)
    cabin = z + snout
    if stage.camera.height > high:
        top = [(x - roof, high, cabin), (x + roof, high, cabin)]
        top += [(x + roof, high, far - 0.8), (x - roof, high, far - 0.8)]
        stage.solid(top, scaled(paint, 1.1), BODYWORK, None)
    shell = [(x - half, waist), (x - roof, high), (x + roof, high), (x + half, waist)]
    stage.polygon(shell, cabin, paint, BODYWORK)
    low, up = waist + (high - waist) * 0.06, high - (high - waist) * 0.16
    pane = [(x - half * 0.9, low), (x - roof * 0.9, up)]
    pane += [(x + roof * 0.9, up), (x + half * 0.9, low)]
    stage.polygon(pane, cabin, scaled(_GLASS_COLOR, rng.uniform(0.7, 1.6)), BODYWORK)
    edge = waist - 0.08
    lid = [(x - half * 0.96, edge, z), (x + half * 0.96, edge, z)]
    lid += [(x + half, waist, cabin), (x - half, waist, cabin)]
    stage.solid(lid, scaled(paint, 1.12), BODYWORK, None)
    face = [(x - half, _SILL), (x - half, edge - 0.12), (x - half * 0.94, edge)]
    face += [(x + half * 0.94, edge), (x + half, edge - 0.12), (x + half, _SILL)]
    stage.polygon(face, z, paint, BODYWORK)
    _draw_fittings(stage, x, z, half, edge, paint)
    if shape is _BUS:
        stage.box((x - 0.8, x + 0.8), (high - 0.36, high - 0.1), z, (230, 150, 40), BODYWORK)


def _draw_shadow(stage: Stage, x: float, half: float, near: float, far: float) -> None:
    """Darken the ground below the vehicle and next to it, on the side away from the sun."""
    below = rectangle((x - half - 0.15, x + half + 0.15), (near - 0.3, far))
    stage.shadow(below, 0.75)
    reach = stage.light.direct * 2.5 * -stage.light.sun_side
    edge = x + half if reach > 0 else x - half
    tip = edge + reach
    stage.shadow([(edge, near), (tip, near + 0.5), (tip, far), (edge, far)], 0.45)


def _draw_flank(
    stage: Stage,
    shape: Shape,
    x: float,
    side: float,
    depths: tuple[float, float, float],
    high: float,
    paint: Color,
) -> None:
    """Draw a side of the vehicle (-1.0 left, 1.0 right); depths: near end, cabin, far end."""
    near, cabin, far = depths
    body, roof = x + side * shape.half, x + side * shape.half * shape.roof
    span, waist = far - near, shape.waist
    for hub in (near + span * 0.2, far - span * 0.2):
        tyre = [(0.0, hub - 0.2), (0.0, hub + 0.2), (0.35, hub + 0.36), (0.64, hub)]
        stage.side(body, [*tyre, (0.35, hub - 0.36)], BLACK, BODYWORK, side)
    panel = [(_SILL, near), (waist - 0.08, near), (waist, cabin), (waist, far - 0.3), (_SILL, far)]
    stage.side(body, panel, paint, BODYWORK, side)
    end = far - span * (0.25 if shape.snout else 0.03)
    upper = [(body, waist, cabin), (roof, high, cabin + 0.1), (roof, high, end)]
    stage.solid([*upper, (body, waist, end + 0.4)], paint, BODYWORK, side)
    pitch = (end - cabin) / shape.panes
    low, up = waist + (high - waist) * 0.1, high - (high - waist) * 0.18
    inner = body + (roof - body) * 0.82
    for pane in range(shape.panes):
        a, b = cabin + pitch * (pane + 0.1), cabin + pitch * (pane + 0.92)
        quad = [(body, low, a), (inner, up, a), (inner, up, b), (body, low, b)]
        stage.solid(quad, _GLASS_COLOR, BODYWORK, side)


def _draw_fittings(stage: Stage, x: float, z: float, half: float, top: float, paint: Color) -> None:
    """Draw lamps, number plate, bumper and, if seen from the front, the grille."""
    stage.box((x - half, x + half), (_SILL, 0.46), z, scaled(paint, 0.55), BODYWORK)
    lamp: Color = (190, 25, 22)
    if x < 0:
        lamp = (255, 245, 215)
        stage.box((x - half * 0.5, x + half * 0.5), (0.5, top - 0.1), z, BLACK, BODYWORK)
    for side in (-1.0, 1.0):
        middle = x + side * half * 0.78
        stage.box((middle - 0.15, middle + 0.15), (top - 0.24, top - 0.07), z, lamp, BODYWORK)
    stage.box((x - 0.27, x + 0.27), (0.42, 0.54), z, (225, 222, 205), BODYWORK)


def draw_crossing_car(stage: Stage, x: float, z: float) -> None:
    """Draw a car from the side, turning into the street or crossing it."""
    rng = stage.rng
    paint = _paint(rng)
    flip = 1.0 if rng.random() < 0.5 else -1.0
    half, high = rng.uniform(2.0, 2.3), rng.uniform(1.4, 1.6)
    _draw_shadow(stage, x, half, z, z + 1.7)
    outline = [(-1, _SILL), (-1, 0.75), (-0.62, 0.88), (-0.3, high), (0.38, high), (0.72, 0.92)]
    outline += [(1, 0.85), (1, _SILL)]
    stage.polygon([(x + flip * half * a, b) for a, b in outline], z, paint, BODYWORK)
    panes = (
        [(-0.52, 0.9), (-0.27, high - 0.1), (0.02, high - 0.1), (0.02, 0.9)],
        [(0.07, 0.9), (0.07, high - 0.1), (0.34, high - 0.1), (0.6, 0.92)],
    )
    for pane in panes:
        stage.polygon([(x + flip * half * a, b) for a, b in pane], z, _GLASS_COLOR, BODYWORK)
    for wheel in (-0.62, 0.62):
        center = (x + half * wheel, 0.34)
        stage.ellipse(center, (0.36, 0.36), z, BLACK, BODYWORK)
        stage.ellipse(center, (0.18, 0.18), z, (150, 150, 155), BODYWORK)


def _cloth(rng: np.random.Generator) -> Color:
    """Return a random colour of clothes, usually with low saturation."""
    tone = rng.uniform(30, 210)
    vivid = rng.uniform(0, 70)
    return tuple(tone + rng.uniform(-vivid, vivid) for _ in range(3))


def draw_pedestrian(stage: Stage, x: float, z: float) -> None:
    """Draw a standing or walking person with feet at (x, z)."""
    rng = stage.rng
    tall = rng.uniform(1.55, 1.9) * (0.72 if rng.random() < 0.12 else 1.0)
    broad = rng.uniform(0.25, 0.32) * tall / 1.7
    coat, trousers = _cloth(rng), scaled(_cloth(rng), 0.7)
    skin = _SKINS[rng.integers(len(_SKINS))]
    step = rng.uniform(0.02, 0.3)
    hip, neck = 0.5 * tall, 0.84 * tall
    stage.shadow(rectangle((x - 0.4, x + 0.4), (z - 0.25, z + 0.4)), 0.5)
    for side, shade in ((-1.0, 0.85), (1.0, 1.0)):
        foot = x + side * (0.08 + step)
        thigh, shin = broad * 0.5, broad * 0.3
        leg = [(x + side * 0.1 - thigh, hip), (x + side * 0.1 + thigh, hip), (foot + shin, 0.04)]
        stage.polygon([*leg, (foot - shin, 0.04)], z, scaled(trousers, shade), CLOTH)
        shoe = (foot - shin * 1.1, foot + shin * 1.4)
        stage.box(shoe, (0.0, 0.09), z, (40, 36, 34), CLOTH)
    hem = hip - (rng.uniform(0.15, 0.35) * tall if rng.random() < 0.35 else 0.03)
    torso = [(x - broad * 0.9, neck - 0.05), (x - broad * 0.45, neck), (x + broad * 0.45, neck)]
    torso += [(x + broad * 0.9, neck - 0.05), (x + broad * 0.95, hem), (x - broad * 0.95, hem)]
    stage.polygon(torso, z, coat, CLOTH)
    for side, shade in ((-1.0, 0.8), (1.0, 0.9)):
        swing = x + side * broad * 1.15 + rng.uniform(-0.08, 0.08)
        arm = [(x + side * broad * 0.65, neck - 0.04), (x + side * broad * 1.05, neck - 0.1)]
        arm += [(swing + 0.07, hip), (swing - 0.07, hip)]
        stage.polygon(arm, z, scaled(coat, shade), CLOTH)
        stage.ellipse((swing, hip - 0.03), (0.06, 0.07), z, skin, CLOTH)
    if rng.random() < 0.3:
        bag = x + rng.choice((-1.0, 1.0)) * broad
        stage.box((bag - 0.16, bag + 0.16), (hip - 0.1, hip + 0.25), z, _cloth(rng), CLOTH)
    head = 0.068 * tall + 0.015
    stage.box((x - 0.06, x + 0.06), (neck - 0.04, neck + 0.06), z, skin, CLOTH)
    stage.ellipse((x, tall - head), (head * 0.85, head * 1.05), z, _HAIR[rng.integers(4)], CLOTH)
    stage.ellipse((x, tall - head * 1.2), (head * 0.72, head * 0.82), z, skin, CLOTH)
