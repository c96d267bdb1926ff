"""Presets of eseg_keras trained on CamVid; each folder contains one preset and its model card."""
