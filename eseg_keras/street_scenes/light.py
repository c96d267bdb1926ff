"""The light of a scene: weather, brightness of surfaces by orientation, haze, and the sky."""

from dataclasses import dataclass

import numpy as np
from PIL import ImageColor

from eseg_keras.street_scenes.materials import smooth_noise

Color = tuple[float, float, float]


def colors(codes: str) -> tuple[Color, ...]:
    """Parse colours from hexadecimal codes, separated by spaces."""
    return tuple(ImageColor.getrgb(code) for code in codes.split())


def mix(first: Color, second: Color, amount: float) -> Color:
    """Interpolate linearly from `first` (amount 0) to `second` (amount 1)."""
    pairs = zip(first, second, strict=True)
    return tuple(a * (1.0 - amount) + b * amount for a, b in pairs)


def scaled(color: Color, gain: float) -> Color:
    """Multiply a colour by `gain`."""
    return (color[0] * gain, color[1] * gain, color[2] * gain)


@dataclass(frozen=True)
class Weather:
    """A kind of weather: values or ranges of the parameters of `Light`.

    Ranges are (lowest, highest). Colours are RGB from 0 to 255, except `tint`.
    """

    zenith: tuple[Color, Color]
    """Range of the colour at the top of the sky."""
    horizon: tuple[Color, Color]
    clouds: tuple[Color, Color]
    cloud_cover: tuple[float, float]
    direct: tuple[float, float]
    """Range of the strength of sunlight, which brightens sunlit surfaces and darkens shadows."""
    tint: Color
    """Colour of the light, (1, 1, 1) for white."""
    haze: tuple[float, float]
    """Range of the distance in metres at which haze covers 65% of a surface's colour."""
    windows_lit: float


_WEATHERS = (
    Weather(  # a clear day
        zenith=((50, 95, 165), (120, 165, 215)),
        horizon=((160, 190, 215), (225, 230, 232)),
        clouds=((225, 225, 228), (255, 255, 255)),
        cloud_cover=(0.0, 0.65),
        direct=(0.3, 0.5),
        tint=(1.03, 1.0, 0.95),
        haze=(120, 500),
        windows_lit=0.0,
    ),
    Weather(  # overcast
        zenith=((125, 130, 138), (190, 192, 196)),
        horizon=((165, 168, 172), (225, 225, 225)),
        clouds=((110, 113, 120), (215, 215, 218)),
        cloud_cover=(0.4, 1.0),
        direct=(0.03, 0.12),
        tint=(0.9, 0.92, 0.95),
        haze=(60, 250),
        windows_lit=0.08,
    ),
    Weather(  # the sun is low
        zenith=((85, 95, 150), (150, 140, 165)),
        horizon=((235, 150, 90), (250, 205, 150)),
        clouds=((190, 110, 100), (250, 190, 150)),
        cloud_cover=(0.1, 0.8),
        direct=(0.3, 0.5),
        tint=(1.02, 0.86, 0.7),
        haze=(70, 250),
        windows_lit=0.15,
    ),
    Weather(  # dusk
        zenith=((38, 48, 82), (75, 85, 120)),
        horizon=((95, 95, 125), (185, 140, 130)),
        clouds=((50, 52, 75), (120, 100, 115)),
        cloud_cover=(0.0, 0.8),
        direct=(0.0, 0.1),
        tint=(0.55, 0.57, 0.68),
        haze=(80, 250),
        windows_lit=0.45,
    ),
)
_WEATHER_SHARES = (0.45, 0.27, 0.16, 0.12)


class Light:
    """The light of one scene, drawn at random from one of the `_WEATHERS`."""

    def __init__(self, rng: np.random.Generator):
        weather = _WEATHERS[rng.choice(len(_WEATHERS), p=_WEATHER_SHARES)]
        self.zenith = mix(*weather.zenith, rng.random())
        self.horizon = mix(*weather.horizon, rng.random())
        self.clouds = mix(*weather.clouds, rng.random())
        self.cloud_cover = rng.uniform(*weather.cloud_cover)
        self.direct = rng.uniform(*weather.direct)
        self.haze = rng.uniform(*weather.haze)
        self.windows_lit = weather.windows_lit
        self.sun_side = 1.0 if rng.random() < 0.5 else -1.0
        self.sun_ahead = rng.uniform(-0.7, 0.7)
        exposure = rng.uniform(0.75, 1.1)
        self.tint = scaled(weather.tint, exposure)

    def paint(self, color: Color, z: float, sideways: float | None = None) -> tuple[int, int, int]:
        """Return the colour that a surface has in the image, under this light and behind haze.

        The colour is three integers of 0..255.

        `color` is the colour of the surface under white light. Haze adds the colour of the horizon,
        more for larger distances `z` (in metres). `sideways` is 1.0 for a surface that faces right,
        -1.0 for left, 0.0 for the camera, and `None` for horizontal surfaces, such as the ground.
        """
        gain = 1.0
        if sideways is not None:
            facing = sideways * self.sun_side if sideways else -self.sun_ahead
            gain = 1.0 - 0.4 * self.direct + self.direct * facing
        clear = 2.0 ** (-1.5 * z / self.haze)
        fog = 1.0 - clear
        clear *= gain
        tint, horizon = self.tint, self.horizon
        return (
            max(0, min(255, int(color[0] * tint[0] * clear + horizon[0] * fog))),
            max(0, min(255, int(color[1] * tint[1] * clear + horizon[1] * fog))),
            max(0, min(255, int(color[2] * tint[2] * clear + horizon[2] * fog))),
        )


def paint_sky(light: Light, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Paint the sky, from the top of the image to the horizon, as uint8 [height, width, 3]."""
    rows = np.linspace(0.0, 1.0, shape[0], dtype=np.float32)
    weight = rows[:, None, None] ** np.float32(rng.uniform(0.7, 1.8))
    zenith = np.array(light.zenith, np.float32)
    low = np.array(light.horizon, np.float32)
    sky = np.broadcast_to(zenith + (low - zenith) * weight, (*shape, 3))
    if light.direct > 0.25 and light.sun_ahead > 0:  # the sun is ahead: its glow
        x = np.linspace(-1.0, 1.0, shape[1], dtype=np.float32)[None, :, None]
        off_sun = (x - np.float32(light.sun_side * 0.8)) ** 2 + (rows[:, None, None] - 0.6) ** 2
        sky = sky + (255.0 - sky) * np.float32(light.sun_ahead) * np.exp(-3.0 * off_sun)
    # Clouds need a separate generator: the number of values that they draw depends on the image
    # size, but the later values of `rng`, which determine the layout, must not depend on the image
    # size.
    cloud_rng = rng.spawn(1)[0]
    noise = np.zeros(shape, np.float32)
    size = shape[0] * rng.uniform(0.25, 0.6)
    for octave, strength in ((1, 1.0), (2, 0.55), (4, 0.3), (8, 0.18)):
        noise += np.float32(strength) * smooth_noise(cloud_rng, shape, size / octave, stretch=2.2)
    edge = np.float32(1.3 - 2.6 * light.cloud_cover)
    density = np.clip((noise - edge) / np.float32(rng.uniform(0.5, 1.5)), 0.0, 1.0)[..., None]
    density = density * np.float32(rng.uniform(0.6, 1.0))
    # Dense parts of a cloud are darker than its edge.
    clouds = np.array(light.clouds, np.float32) * (1.0 - 0.15 * density * density)
    sky = sky + (clouds - sky) * density * (1.0 - 0.5 * weight)
    tint = np.float32(max(light.tint) ** 0.5)
    return np.clip(sky * tint, 0.0, 255.0).astype(np.uint8)
