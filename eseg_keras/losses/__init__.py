"""Losses on float32 logits [B, H, W, C] and integer masks [B, H, W] or [B, H, W, 1]."""

from eseg_keras.losses.cross_entropy import CrossEntropy

__all__ = ["CrossEntropy"]
