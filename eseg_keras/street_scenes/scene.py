"""Render a street scene: choose random dimensions, then paint objects from far to near."""

import numpy as np

from eseg_keras.image_size import check_image_size
from eseg_keras.street_scenes.light import Light, paint_sky
from eseg_keras.street_scenes.materials import CLUTTER
from eseg_keras.street_scenes.photograph import take_photograph
from eseg_keras.street_scenes.road_users import draw_crossing_car, draw_pedestrian, draw_vehicle
from eseg_keras.street_scenes.roadside import (
    draw_clutter,
    draw_hedge,
    draw_lamp_post,
    draw_sign,
    draw_traffic_light,
    draw_tree,
)
from eseg_keras.street_scenes.stage import SUPERSAMPLING, Camera, Stage, rectangle
from eseg_keras.street_scenes.street import NEAR, Street, draw_far_end, draw_ground, draw_house

SPLITS = {"train": 0, "validation": 1, "test": 2}


def render_scene(
    index: int, split: str = "train", image_size: tuple[int, int] = (192, 384), seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Render one street scene with its mask.

    The result depends only on the arguments. Image sizes with the same aspect ratio give the same
    layout, with different clouds and textures.

    Args:
        index: Number of the scene, 0 or above.
        split: `"train"`, `"validation"` or `"test"`. The splits are disjoint. Defaults to
            `"train"`.
        image_size: (height, width) in pixels, each at least 32. Thin objects are visible if the
            image height is about 128 pixels or more. Defaults to (192, 384).
        seed: Seed of the data set, 0 or above. Defaults to 0.

    Returns:
        The RGB image, uint8 [H, W, 3], and the mask, uint8 [H, W]. Labels 0 to 7 are indices into
        `CLASS_NAMES`; 255 is void: kerbs, clutter such as bins, the bonnet of the camera's car, and
        pixels on the edge between two classes. All paved ground is `road`, hedges are `tree`, lamps
        and traffic lights are `pole`.

    Raises:
        ValueError: If the split is unknown, the size is too small, or index or seed is negative.

    Example:

    >>> from eseg_keras.street_scenes import render_scene
    >>> image, mask = render_scene(7, "validation", image_size=(96, 192))
    >>> image.shape, mask.shape
    ((96, 192, 3), (96, 192))
    """
    check_split(split)
    check_image_size("image_size", image_size)
    if index < 0 or seed < 0:
        raise ValueError(
            f"`index` and `seed` must be 0 or above. Received: index={index}, seed={seed}"
        )
    rng = np.random.default_rng(np.random.SeedSequence([seed, SPLITS[split], index]))
    height, width = (side * SUPERSAMPLING for side in image_size)
    camera = Camera(
        focal=height * rng.uniform(0.85, 1.15),
        center=width * rng.uniform(0.36, 0.64),
        horizon=height * rng.uniform(0.4, 0.52),
        height=rng.uniform(1.4, 2.1),
    )
    light = Light(rng)
    shape = (int(camera.horizon / 6) + 1, width // 6 + 1)
    sky = paint_sky(light, shape, rng)
    stage = Stage((height, width), sky, camera, light, rng)
    street = Street.random(rng)
    draw_far_end(stage, street)
    draw_ground(stage, street)
    _draw_sides(stage, street)
    _draw_traffic(stage, street)
    if rng.random() < 0.3:
        _draw_bonnet(stage)
    return take_photograph(stage)


def check_split(split: str) -> None:
    """Raise a ValueError for an unknown split."""
    if split not in SPLITS:
        raise ValueError(
            f"`split` must be one of {', '.join(map(repr, SPLITS))}. Received: split={split!r}"
        )


def _draw_sides(stage: Stage, street: Street) -> None:
    """Draw both rows of houses, gardens and trees, from far to near."""
    rng = stage.rng
    plots = []
    for wall in (street.left_wall, street.right_wall):
        z = rng.uniform(-6.0, 2.0)
        tall = rng.uniform(5.0, 16.0)
        built = rng.uniform(0.55, 0.95)
        while z < street.end:
            far = z + rng.uniform(6.0, 16.0)
            height = tall * rng.uniform(0.6, 1.4)
            plots.append((max(z, NEAR), far, wall, height if rng.random() < built else 0.0))
            z = far
    for near, far, wall, height in sorted(plots, reverse=True):
        if far <= NEAR + 0.5:
            continue
        if height:
            draw_house(stage, wall, near, far, height)
            continue
        outward = 1.0 if wall > 0 else -1.0
        for z in sorted(rng.uniform(near, far, rng.integers(1, 4)), reverse=True):
            if z > 4.0:
                draw_tree(stage, wall + outward * rng.uniform(0.5, 4.0), z)
        draw_hedge(stage, wall, near, far)
    # The houses on the sunny side cast a shadow on a part of the street.
    if stage.light.direct > 0.15:
        wall, kerb = (street.left_wall, street.left_kerb)
        if stage.light.sun_side > 0:
            wall, kerb = (street.right_wall, street.right_kerb)
        edge = wall + (kerb - wall) * rng.uniform(0.3, 2.2)
        stage.shadow(rectangle((wall, edge), (NEAR, street.end)), stage.light.direct * 1.4)


def _draw_traffic(stage: Stage, street: Street) -> None:
    """Draw everything that stands or moves in the street, from far to near."""
    rng = stage.rng
    things = []

    def place(draw, x, nearest, farthest, half=(0.3, 0.45)):
        # Place the object within the view, where it does not intersect others, or skip it.
        camera = stage.camera
        room = (stage.width - camera.center if x > 0 else camera.center) * 0.93
        nearest = max(nearest, camera.focal * abs(x) / room)
        for z in rng.uniform(nearest, max(farthest, nearest * 1.3), 6).tolist():
            if all(
                abs(x - other_x) > half[0] + other[0] or abs(z - other_z) > half[1] + other[1]
                for other_z, other_x, other, _ in things
            ):
                things.append((z, x, half, draw))
                break

    car = (0.95, 2.4)
    left, right = street.left_kerb, street.right_kerb
    middle = (left + right) / 2
    if rng.random() < 0.75:
        place(draw_vehicle, (middle + right) / 2 + rng.uniform(-0.4, 0.4), 6.5, 20.0, car)
    for _ in range(rng.integers(1, 3)):
        place(draw_vehicle, (middle + left) / 2 + rng.uniform(-0.4, 0.4), 5.5, 22.0, car)
    for kerb, inward in ((left, 1.0), (right, -1.0)):
        if rng.random() < 0.5:
            for _ in range(rng.integers(1, 3)):
                place(draw_vehicle, kerb + inward * rng.uniform(0.9, 1.2), 5.5, 22.0, car)
    if rng.random() < 0.25:
        place(draw_crossing_car, rng.uniform(left, right), 9.0, 18.0, car)
    kerbside = ((left, -1.0), (right, 1.0))
    for draw, fewest, most, farthest in (
        (draw_lamp_post, 1, 3, 13.0),
        (draw_traffic_light, 0, 1, 12.0),
        (draw_sign, 1, 4, 10.0),
        (draw_tree, 0, 3, 26.0),
        (draw_clutter, 0, 2, 14.0),
    ):
        for _ in range(rng.integers(fewest, most + 1)):
            kerb, outward = kerbside[rng.integers(2)]
            place(draw, kerb + outward * rng.uniform(0.3, 0.8), 5.0, farthest)
    for _ in range(rng.integers(2, 6)):
        on_left = rng.random() < 0.5
        kerb, wall = (left, street.left_wall) if on_left else (right, street.right_wall)
        place(draw_pedestrian, kerb + (wall - kerb) * rng.uniform(0.2, 0.85), 4.5, 11.5)
    if rng.random() < 0.4:
        for _ in range(rng.integers(1, 4)):
            place(draw_pedestrian, rng.uniform(left + 0.5, right - 0.5), 6.0, 12.0)
    for z, x, _, draw in sorted(things, key=lambda thing: -thing[0]):
        draw(stage, x, z)


def _draw_bonnet(stage: Stage) -> None:
    """Draw the bonnet of the camera's car along the bottom edge; it is void in the mask."""
    rng = stage.rng
    color = (rng.uniform(20, 190),) * 3
    top = stage.height * rng.uniform(0.93, 0.97)
    middle, half = stage.width * rng.uniform(0.4, 0.6), stage.width * rng.uniform(0.45, 0.7)
    box = (middle - half, top, middle + half, top + stage.height * 0.4)
    stage.draw.ellipse(box, fill=(*stage.light.paint(color, 0.0), CLUTTER))
