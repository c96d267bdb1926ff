"""Presets: named architectures, and preset directories with trained weights."""

from eseg_keras.presets.hub import push_to_hub as push_to_hub
