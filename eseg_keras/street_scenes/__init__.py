"""Procedural street scenes with exact masks: a data set that needs no download."""

from eseg_keras.street_scenes.dataset import street_scenes
from eseg_keras.street_scenes.materials import CLASS_NAMES, IGNORE_LABEL, PALETTE
from eseg_keras.street_scenes.scene import render_scene

__all__ = ["CLASS_NAMES", "IGNORE_LABEL", "PALETTE", "render_scene", "street_scenes"]
