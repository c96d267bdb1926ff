"""Metrics on logits [B, H, W, C] and integer masks, computed from a confusion matrix."""

from eseg_keras.metrics.confusion_matrix import ConfusionMatrix
from eseg_keras.metrics.scores import MeanIoU, PixelAccuracy, SegmentationScores

__all__ = [
    "ConfusionMatrix",
    "MeanIoU",
    "PixelAccuracy",
    "SegmentationScores",
]
