"""Presets: named architectures and trained weights, and their directories."""

from eseg_keras.presets.hub import push_to_hub as push_to_hub
