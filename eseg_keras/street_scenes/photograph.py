"""Turn the painted stage into an image: texture, shadows, haze, lens and sensor noise."""

import numpy as np
from PIL import Image, ImageFilter

from eseg_keras.street_scenes.materials import (
    GRAIN,
    IGNORE_LABEL,
    MATERIAL_CLASS,
    ON_GROUND,
    smooth_noise,
)
from eseg_keras.street_scenes.stage import SUPERSAMPLING, Stage


def take_photograph(stage: Stage) -> tuple[np.ndarray, np.ndarray]:
    """Turn a painted stage into an image, uint8 [H, W, 3], and its mask, uint8 [H, W].

    Both have the size of the canvas divided by `SUPERSAMPLING`. Pixels of materials without a class
    are void, and also pixels whose upper left and lower right canvas pixels have different classes.
    """
    rng, light, camera = stage.rng, stage.light, stage.camera
    reduced = stage.image.reduce(SUPERSAMPLING)
    height, width = reduced.height, reduced.width
    painted = np.asarray(stage.image.getchannel(3))
    material = painted[::2, ::2]
    mask = MATERIAL_CLASS[material]
    mask[mask != MATERIAL_CLASS[painted[1::2, 1::2]]] = IGNORE_LABEL

    # Texture: one random brightness field per scale, multiplied by the material's `GRAIN`.
    grain = GRAIN * rng.uniform(0.5, 1.5, (len(GRAIN), 1)).astype(np.float32)
    # A separate generator, because the number of values of the noise depends on the image size (see
    # the clouds in `paint_sky`).
    noise_rng = rng.spawn(1)[0]
    gain = np.ones((height, width), np.float32)
    for scale, cell in enumerate((1.0, height / 64, height / 16)):
        gain += smooth_noise(noise_rng, (height, width), cell) * grain[:, scale][material]
    # Shadows and haze on the ground, where the distance depends on the row only.
    ground = ON_GROUND[material]
    shade = stage.ground_shade().resize((width, height), Image.Resampling.BILINEAR)
    gain *= 1.0 - ground * np.asarray(shade) * np.float32(0.7 / 255)
    rows = np.arange(height, dtype=np.float32) * SUPERSAMPLING
    distance = camera.focal * camera.height / np.maximum(rows - camera.horizon, 1.0)
    fog = ground * (1.0 - 2.0 ** (-1.5 * distance / light.haze))[:, None]
    gain *= 1.0 - fog
    # Vignetting: the lens darkens the corners.
    y = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
    x = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :]
    vignette = 1.0 - np.float32(rng.uniform(0.0, 0.15)) * (x * x + y * y)
    gain *= vignette
    fog *= vignette
    pixels = np.asarray(reduced)[..., :3] * gain[..., None]
    pixels += fog[..., None] * np.array(light.horizon, np.float32)

    # Exposure moves the mean brightness halfway (on a logarithmic scale) to a target. Contrast and
    # colour are changed in the same step.
    brightness = pixels[::8, ::8].mean()
    exposure = (rng.uniform(95.0, 130.0) / brightness) ** 0.5
    contrast = rng.uniform(0.8, 1.25)
    pixels *= (exposure * contrast * rng.uniform(0.93, 1.07, 3)).astype(np.float32)
    middle = brightness * exposure
    pixels += np.float32(middle * (1.0 - contrast) + rng.uniform(-10.0, 15.0))
    np.clip(pixels, 0.0, 255.0, out=pixels)
    developed = Image.fromarray(pixels.astype(np.uint8))
    blur = rng.uniform(0.0, 0.65) * height / 192
    developed = developed.filter(ImageFilter.BoxBlur(blur * 0.7))
    # Sensor noise: uniform between -strength and strength, in every channel.
    strength = int(rng.integers(2, 10))
    noise = noise_rng.integers(0, 2 * strength + 1, (height, width, 3), np.uint8)
    noisy = np.asarray(developed).astype(np.int16) + noise - np.int16(strength)
    return np.clip(noisy, 0, 255).astype(np.uint8), mask
