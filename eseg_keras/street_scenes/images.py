"""Images of street scenes, without masks, to calibrate or verify an exported network."""

import logging

import numpy as np

from eseg_keras.street_scenes.scene import render_scene

_log = logging.getLogger("eseg_keras")


def scene_images(
    split: str, count: int, size: tuple[int, int], channels: int = 3
) -> list[np.ndarray]:
    """Render the first images of a split.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        count: Number of images.
        size: (height, width) in pixels, each at least 32.
        channels: Number of channels; channels after the third repeat RGB. Defaults to 3.

    Returns:
        List of uint8 arrays [H, W, channels].

    Example:

    >>> from eseg_keras.street_scenes import scene_images
    >>> [image.shape for image in scene_images("test", 2, (32, 48))]
    [(32, 48, 3), (32, 48, 3)]
    """
    images = [render_scene(index, split, tuple(size))[0] for index in range(count)]
    return [image[..., np.arange(channels) % 3] for image in images]


def calibration_scenes(size: tuple[int, int], channels: int = 3) -> list[np.ndarray]:
    """Render images to calibrate 8-bit exports, and warn that images of the task are better.

    Args:
        size: (height, width) in pixels, each at least 32.
        channels: Number of channels. Defaults to 3.

    Returns:
        List of 24 uint8 arrays [H, W, channels], from the training split.
    """
    _log.warning(
        "The 8-bit ranges are calibrated on synthetic street scenes. For better label maps, pass "
        "images of the network's task as calibration_images."
    )
    return scene_images("train", 24, size, channels)
