"""The street: its far end, the ground, and the houses along the street."""

from dataclasses import dataclass

import numpy as np

from eseg_keras.street_scenes.light import Color, colors, mix, scaled
from eseg_keras.street_scenes.materials import ASPHALT, CLUTTER, FOLIAGE, GLASS, PAINT, PAVING, WALL
from eseg_keras.street_scenes.stage import Stage, rectangle

NEAR = 1.0
"""Distance in metres at which long objects start.

Objects at this distance are out of view if the aspect ratio (width / height) of
the image is at most 4.9.
"""

_WALLS = colors(
    "#965541 #78463a #c3aa87 #d7cdb9 #afaca5 #787a7d #5a5c62 #e1ded7 #a5b4c3 "
    "#7891af #96a582 #697d5f #cda596 #d2b46e"
)
_ROOFS = colors("#6e3c32 #55504e #41444b #8c5f46")


@dataclass(frozen=True)
class Street:
    """Dimensions of a street in metres; the camera is at x = 0."""

    left_kerb: float
    right_kerb: float
    left_wall: float
    right_wall: float
    end: float
    """Distance at which the rows of houses end."""

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Street":
        """Return a random street; the camera is in its right half in most cases."""
        half_road = rng.uniform(3.4, 5.6)
        offset = rng.uniform(-0.25, 0.55) * half_road
        left, right = rng.uniform(2.2, 4.2, 2)
        return cls(
            left_kerb=-half_road - offset,
            right_kerb=half_road - offset,
            left_wall=-half_road - offset - left,
            right_wall=half_road - offset + right,
            end=rng.uniform(45.0, 95.0),
        )


def draw_far_end(stage: Stage, street: Street) -> None:
    """Draw the end of the street: houses, a row of trees, or nothing."""
    rng = stage.rng
    kind = rng.random()
    z = street.end * 1.3
    x = -60.0
    while x < 60.0 and kind < 0.8:
        if kind < 0.45:
            width, height = rng.uniform(8.0, 18.0), rng.uniform(6.0, 26.0)
            _draw_front(stage, (x, x + width), height, z, _wall_color(rng))
        else:
            width, height = rng.uniform(5.0, 11.0), rng.uniform(4.0, 9.0)
            green = (rng.uniform(40, 90), rng.uniform(70, 115), rng.uniform(35, 70))
            stage.ellipse((x, height * 0.5), (width, height * 0.6), z, green, FOLIAGE)
            stage.box((x - width, x + width), (0.0, height * 0.5), z, green, FOLIAGE)
        x += width


def draw_ground(stage: Stage, street: Street) -> None:
    """Draw the road, its markings, pavements and kerbs; the class of all paved ground is `road`."""
    rng, camera = stage.rng, stage.camera
    tone = rng.uniform(75, 150)
    asphalt = (tone + rng.uniform(-8, 10), tone + rng.uniform(-5, 5), tone + rng.uniform(-8, 12))
    paving = mix(asphalt, (tone + 45, tone + 38, tone + 25), rng.uniform(0.2, 1.0))
    fill = (*stage.light.paint(paving, 0.0), PAVING)
    stage.draw.rectangle((0, camera.horizon, stage.width, stage.height), fill=fill)
    left, right, far = street.left_kerb, street.right_kerb, street.end * 1.3
    stage.ground(rectangle((left, right), (NEAR, far)), asphalt, ASPHALT)
    paint = scaled((225, 222, 210), rng.uniform(0.75, 1.05))
    half = 0.09
    if rng.random() < 0.85:  # the middle line
        middle, z = (left + right) / 2, rng.uniform(1.0, 4.0)
        dash, gap = (60.0, 1.0) if rng.random() < 0.2 else (rng.uniform(2, 4), rng.uniform(3, 6))
        while z < 60.0:
            stage.ground(rectangle((middle - half, middle + half), (z, z + dash)), paint, PAINT)
            z = z + dash + gap
    for x in (left + 0.5, right - 0.5):  # edge lines
        if rng.random() < 0.4:
            stage.ground(rectangle((x - half, x + half), (NEAR, far)), paint, PAINT)
    if rng.random() < 0.3:  # a zebra crossing
        z, x = rng.uniform(6.0, 14.0), left + 0.3
        while x < right - 0.5:
            stage.ground(rectangle((x, x + 0.5), (z, z + 3.0)), paint, PAINT)
            x += 1.0
    for _ in range(rng.integers(0, 5)):  # repaired patches and stains
        x, z = rng.uniform(left, right - 1.5), rng.uniform(4.0, 25.0)
        width, length = rng.uniform(0.5, 1.5), rng.uniform(1.0, 8.0)
        patch = rectangle((x, x + width), (z, z + length))
        stage.ground(patch, scaled(asphalt, rng.uniform(0.75, 1.15)), ASPHALT)
    for x in (left, right):  # kerb stones have no class
        kerb = scaled(paving, rng.uniform(0.8, 1.2))
        stage.ground(rectangle((x - 0.1, x + 0.1), (NEAR, 25)), kerb, CLUTTER)


def _wall_color(rng: np.random.Generator) -> Color:
    color = scaled(_WALLS[rng.integers(len(_WALLS))], rng.uniform(0.65, 1.12))
    return (color[0] + rng.uniform(-12, 12), color[1] + rng.uniform(-12, 12), color[2])


def _window_fills(stage: Stage, z: float, sideways: float) -> list[tuple[int, ...]]:
    """Return a few fill colours for the windows of a house; some may be lit."""
    fills = []
    for _ in range(6):
        glass = scaled((70, 80, 92), stage.rng.uniform(0.6, 1.7))
        if stage.rng.random() < stage.light.windows_lit:
            glass = (400.0, 330.0, 190.0)
        fills.append((*stage.light.paint(glass, z, sideways), GLASS))
    return fills


def _draw_front(stage: Stage, x: tuple[float, float], height: float, z: float, wall: Color) -> None:
    """Draw a house front that faces the camera."""
    camera = stage.camera
    if camera.x(x[1], z) < 0 or camera.x(x[0], z) > stage.width:
        return
    stage.box(x, (0.0, height), z, wall, WALL)
    columns, floors = max(1, int((x[1] - x[0]) / 2.6)), max(1, int(height / 3.2))
    pitch, storey = (x[1] - x[0]) / columns, height / floors
    fills = _window_fills(stage, z, 0.0)
    choice = stage.rng.integers(len(fills), size=(columns, floors)).tolist()
    for column in range(columns):
        left, right = (camera.x(x[0] + pitch * (column + part), z) for part in (0.25, 0.75))
        if right < 0 or left > stage.width:
            continue
        for floor in range(floors):
            top, bottom = (camera.y(storey * (floor + part), z) for part in (0.8, 0.3))
            stage.draw.rectangle((left, top, right, bottom), fill=fills[choice[column][floor]])


def draw_house(stage: Stage, x: float, near: float, far: float, height: float) -> None:
    """Draw a house between two distances along the street, with its facade in the plane at `x`."""
    rng = stage.rng
    outward = 1.0 if x > 0 else -1.0
    wall = _wall_color(rng)
    if near > NEAR:
        edge = x + outward * 9.0
        if rng.random() < 0.35:  # a gable roof
            roof, ridge = _ROOFS[rng.integers(len(_ROOFS))], height + rng.uniform(1.5, 3.5)
            slope = [(height, near), (height, far), (ridge, far), (ridge, near)]
            stage.side(x + outward * 1.5, slope, roof, WALL, -outward)
            gable = [(x, height), (x + outward * 4.5, ridge), (edge, height)]
            stage.polygon(gable, near, wall, WALL)
        _draw_front(stage, (min(x, edge), max(x, edge)), height, near, wall)
    stage.side(x, [(0, near), (height, near), (height, far), (0, far)], wall, WALL, -outward)
    _draw_windows(stage, x, near, far, height, wall, -outward)


def _draw_windows(
    stage: Stage, x: float, near: float, far: float, height: float, wall: Color, sideways: float
) -> None:
    """Draw the windows, the cornice and, on some houses, the shops of a facade."""
    rng, camera = stage.rng, stage.camera
    trim = mix(wall, (235, 230, 220) if rng.random() < 0.5 else (60, 55, 55), 0.5)
    band = [(height - 0.4, near), (height, near), (height, far), (height - 0.4, far)]
    stage.side(x, band, trim, WALL, sideways)
    columns = max(1, round((far - near) / rng.uniform(2.2, 4.0)))
    floors = max(1, round(height / rng.uniform(2.9, 3.8)))
    pitch, storey = (far - near) / columns, height / floors
    wide, tall = rng.uniform(0.35, 0.75), rng.uniform(0.4, 0.68)
    shops = rng.random() < 0.4
    if shops:
        sign = (rng.uniform(40, 230), rng.uniform(40, 230), rng.uniform(40, 230))
        top, low = storey * 0.98, storey * 0.78
        stage.side(x, [(low, near), (top, near), (top, far), (low, far)], sign, WALL, sideways)
    fills = _window_fills(stage, (near + far) / 2, sideways)
    choice = rng.integers(len(fills), size=(columns, floors)).tolist()
    frame = (*stage.light.paint(trim, (near + far) / 2, sideways), WALL)
    for column in range(columns):
        start = near + pitch * (column + (1 - wide) / 2)
        end = start + pitch * wide
        a, b = camera.x(x, start), camera.x(x, end)
        if abs(a - b) < 2.0 or max(a, b) < 0 or min(a, b) > stage.width:
            continue
        for floor in range(floors):
            bottom = storey * (floor + (1 - tall) / 2)
            top = bottom + storey * tall
            if floor == 0:
                bottom, top = (0.3, storey * 0.75) if shops else (bottom * 0.6, top)
            if camera.y(bottom, end) < 0:
                break
            pane = [(a, camera.y(bottom, start)), (a, camera.y(top, start))]
            pane += [(b, camera.y(top, end)), (b, camera.y(bottom, end))]
            stage.draw.polygon(pane, fill=fills[choice[column][floor]], outline=frame)
