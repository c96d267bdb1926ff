"""Presets of eseg_keras trained on CamVid; each folder holds one, with its card."""
