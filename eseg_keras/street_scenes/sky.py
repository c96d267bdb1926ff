"""The sky: a gradient with clouds."""

import numpy as np

from eseg_keras.street_scenes.light import Light
from eseg_keras.street_scenes.noise import smooth_noise


def paint_sky(light: Light, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Paint the sky, from the top of the image to the horizon, as uint8 [height, width, 3]."""
    rows = np.linspace(0.0, 1.0, shape[0], dtype=np.float32)
    weight = rows[:, None, None] ** np.float32(rng.uniform(0.7, 1.8))
    zenith = np.array(light.zenith, np.float32)
    low = np.array(light.horizon, np.float32)
    sky = np.broadcast_to(zenith + (low - zenith) * weight, (*shape, 3))
    if light.direct > 0.25 and light.sun_ahead > 0:  # the glow around a sun near the frame
        x = np.linspace(-1.0, 1.0, shape[1], dtype=np.float32)[None, :, None]
        off_sun = (x - np.float32(light.sun_side * 0.8)) ** 2 + (rows[:, None, None] - 0.6) ** 2
        sky = sky + (255.0 - sky) * np.float32(light.sun_ahead) * np.exp(-3.0 * off_sun)
    # A separate generator, because the number of its values depends on the image size: the later
    # values of `rng` determine the layout and must not depend on it.
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
