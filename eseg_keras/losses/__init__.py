"""Losses on float32 logits [B, H, W, C] and integer masks [B, H, W] or [B, H, W, 1]."""

from eseg_keras.losses.cross_entropy import CrossEntropy
from eseg_keras.losses.dice import Dice
from eseg_keras.losses.focal import Focal
from eseg_keras.losses.lovasz_softmax import LovaszSoftmax
from eseg_keras.losses.ohem_cross_entropy import OHEMCrossEntropy

__all__ = ["CrossEntropy", "Dice", "Focal", "LovaszSoftmax", "OHEMCrossEntropy"]
