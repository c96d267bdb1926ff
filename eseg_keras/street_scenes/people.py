"""Pedestrians."""

import numpy as np

from eseg_keras.street_scenes.light import Color, colors, scaled
from eseg_keras.street_scenes.materials import CLOTH
from eseg_keras.street_scenes.stage import Stage, rectangle

SKINS = colors("#ecc8af #cda07d #96694b #5f4130")
HAIR = colors("#231c18 #553a26 #be9b64 #969491")


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
    skin = SKINS[rng.integers(len(SKINS))]
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
    stage.ellipse((x, tall - head), (head * 0.85, head * 1.05), z, HAIR[rng.integers(4)], CLOTH)
    stage.ellipse((x, tall - head * 1.2), (head * 0.72, head * 0.82), z, skin, CLOTH)
