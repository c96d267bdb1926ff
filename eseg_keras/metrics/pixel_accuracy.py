"""Pixel accuracy."""

import keras

from eseg_keras.metrics.confusion_matrix import ConfusionMatrix


@keras.saving.register_keras_serializable(package="eseg_keras")
class PixelAccuracy(ConfusionMatrix):
    """Pixel accuracy: share of labelled pixels that are classified correctly.

    Args:
        num_classes: Number of classes.
        ignore_label: Label of pixels to ignore. Defaults to 255.
        name: Name of the metric. Defaults to `"pixel_accuracy"`.

    Call arguments:
        y_true: Integer masks [B, H, W] or [B, H, W, 1].
        y_pred: Logits [B, H, W, C], or label maps [B, H, W] of an integer dtype.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.metrics import PixelAccuracy
    >>> metric = PixelAccuracy(num_classes=2)
    >>> metric.update_state(np.array([[[0, 0, 1, 255]]]), np.array([[[0, 1, 1, 1]]]))
    >>> round(float(metric.result()), 4)
    0.6667
    """

    def __init__(self, num_classes: int, ignore_label: int = 255, name: str = "pixel_accuracy"):
        super().__init__(num_classes, ignore_label, name)

    def result(self):
        """Return the accuracy, a float32 scalar; 0 if no pixel was counted."""
        return self.pixel_accuracy()
