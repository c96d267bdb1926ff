"""The stage of a scene: the camera, the light, and a canvas of colours and materials.

Positions are in metres: x to the right of the camera, y up from the ground, z ahead of the camera.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from eseg_keras.street_scenes.light import Color, Light
from eseg_keras.street_scenes.materials import SKY

Pair = tuple[float, float]
Point = tuple[float, float, float]

SUPERSAMPLING = 2
"""Canvas pixels per image pixel along each axis.

Downscaling the canvas smooths the edges of shapes.
"""

_SHADE_REDUCTION = 4
"""Canvas pixels per pixel of the shadow map along each axis.

Upscaling the shadow map softens the shadows.
"""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks along the street; lengths are canvas pixels except `height`."""

    focal: float
    center: float
    horizon: float
    height: float
    """Height above the ground in metres."""

    def x(self, x: float, z: float) -> float:
        """Return the canvas column of a point `x` metres to the right at distance `z`."""
        return self.center + self.focal * x / z

    def y(self, y: float, z: float) -> float:
        """Return the canvas row of a point `y` metres above the ground at distance `z`."""
        return self.horizon + self.focal * (self.height - y) / z

    def point(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Return the canvas column and row of a point."""
        scale = self.focal / z
        return self.center + x * scale, self.horizon + (self.height - y) * scale


def rectangle(x: Pair, y: Pair) -> list[Pair]:
    """Return the corners of a rectangle; for one on the ground, pass its range of z as `y`."""
    return [(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])]


class Stage:
    """The canvas of one scene; drawing methods take metres.

    The canvas is a CMYK image, used as four channels (red, green, blue, material), so that one call
    paints colour and material. Pillow never blends or premultiplies the fourth channel of CMYK,
    unlike the alpha channel of RGBA. The image `sky`, uint8 [h, w, 3], is enlarged and pasted from
    the top to the horizon.
    """

    def __init__(
        self,
        size: tuple[int, int],
        sky: np.ndarray,
        camera: Camera,
        light: Light,
        rng: np.random.Generator,
    ):
        self.height, self.width = size
        self.camera, self.light, self.rng = camera, light, rng
        painted = np.dstack([sky, np.full(sky.shape[:2], SKY, np.uint8)])
        above = Image.frombytes("CMYK", (sky.shape[1], sky.shape[0]), painted.tobytes())
        self.image = Image.new("CMYK", (self.width, self.height))
        rows = int(camera.horizon) + 1
        self.image.paste(above.resize((self.width, rows), Image.Resampling.BILINEAR), (0, 0))
        self._shadows = []
        self.draw = ImageDraw.Draw(self.image)

    def polygon(self, points: Sequence[Pair], z: float, color: Color, material: int) -> None:
        """Paint a polygon that faces the camera: points (x, y) at distance `z`."""
        camera = self.camera
        scale = camera.focal / z
        left, top = camera.center, camera.horizon + camera.height * scale
        corners = [(left + x * scale, top - y * scale) for x, y in points]
        self.draw.polygon(corners, fill=(*self.light.paint(color, z, 0.0), material))

    def box(self, x: Pair, y: Pair, z: float, color: Color, material: int) -> None:
        """Paint a rectangle that faces the camera."""
        left, top = self.camera.point(x[0], y[1], z)
        right, bottom = self.camera.point(x[1], y[0], z)
        if right > left and bottom > top:
            fill = (*self.light.paint(color, z, 0.0), material)
            self.draw.rectangle((left, top, right, bottom), fill=fill)

    def ellipse(self, center: Pair, radius: Pair, z: float, color: Color, material: int) -> None:
        """Paint an ellipse that faces the camera."""
        left, top = self.camera.point(center[0] - radius[0], center[1] + radius[1], z)
        right, bottom = self.camera.point(center[0] + radius[0], center[1] - radius[1], z)
        fill = (*self.light.paint(color, z, 0.0), material)
        self.draw.ellipse((left, top, right, bottom), fill=fill)

    def side(
        self, x: float, points: Sequence[Pair], color: Color, material: int, sideways: float
    ) -> None:
        """Paint a polygon in the vertical plane along the street at `x`: points (y, z)."""
        z = sum(point[1] for point in points) / len(points)
        corners = [self.camera.point(x, y, z) for y, z in points]
        self.draw.polygon(corners, fill=(*self.light.paint(color, z, sideways), material))

    def solid(
        self, points: Sequence[Point], color: Color, material: int, sideways: float | None
    ) -> None:
        """Paint a polygon of points (x, y, z); the first point gives the distance for haze."""
        fill = (*self.light.paint(color, points[0][2], sideways), material)
        self.draw.polygon([self.camera.point(*point) for point in points], fill=fill)

    def ground(self, points: Sequence[Pair], color: Color, material: int) -> None:
        """Paint a polygon on the ground: points (x, z); `take_photograph` adds the haze."""
        fill = (*self.light.paint(color, 0.0), material)
        self.draw.polygon([self.camera.point(x, 0.0, z) for x, z in points], fill=fill)

    def shadow(self, points: Sequence[Pair], darkness: float) -> None:
        """Darken the ground inside a polygon of points (x, z); objects are not darkened."""
        corners = [self.camera.point(x, 0.0, z) for x, z in points]
        corners = [(x / _SHADE_REDUCTION, y / _SHADE_REDUCTION) for x, y in corners]
        self._shadows.append((min(1.0, darkness), corners))

    def ground_shade(self) -> Image.Image:
        """Return the shadows, 0 to 255, as an "L" image, `_SHADE_REDUCTION` times smaller."""
        size = (-(-self.width // _SHADE_REDUCTION), -(-self.height // _SHADE_REDUCTION))
        shade = Image.new("L", size, 0)
        draw = ImageDraw.Draw(shade)
        for darkness, corners in sorted(self._shadows):  # the darkest last: it covers the others
            draw.polygon(corners, fill=int(255 * darkness))
        return shade
