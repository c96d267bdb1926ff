"""Metrics on logits [B, H, W, C] and integer masks, computed from a confusion matrix."""

from eseg_keras.metrics.confusion_matrix import ConfusionMatrix
from eseg_keras.metrics.mean_iou import MeanIoU
from eseg_keras.metrics.pixel_accuracy import PixelAccuracy
from eseg_keras.metrics.segmentation_scores import SegmentationScores

__all__ = [
    "ConfusionMatrix",
    "MeanIoU",
    "PixelAccuracy",
    "SegmentationScores",
]
