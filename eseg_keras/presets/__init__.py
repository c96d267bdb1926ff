"""Presets: named architectures and trained weights, and their directories."""
