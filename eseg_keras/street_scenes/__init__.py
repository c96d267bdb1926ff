"""Synthetic street scenes with exact masks: a data set without download."""

from eseg_keras.street_scenes.dataset import (
    StreetScenes,
    calibration_scenes,
    scene_images,
    street_scenes,
)
from eseg_keras.street_scenes.materials import CLASS_NAMES, IGNORE_LABEL, PALETTE
from eseg_keras.street_scenes.scene import render_scene

__all__ = [
    "CLASS_NAMES",
    "IGNORE_LABEL",
    "PALETTE",
    "StreetScenes",
    "calibration_scenes",
    "render_scene",
    "scene_images",
    "street_scenes",
]
