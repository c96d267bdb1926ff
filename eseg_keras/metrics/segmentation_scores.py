"""Mean IoU and pixel accuracy from one confusion matrix."""

import keras

from eseg_keras.metrics.confusion_matrix import ConfusionMatrix


@keras.saving.register_keras_serializable(package="eseg_keras")
class SegmentationScores(ConfusionMatrix):
    """Mean IoU and pixel accuracy from the same counts.

    Faster than `MeanIoU` and `PixelAccuracy` together, because pixels are counted once. As a metric
    of `compile`, it logs `"mean_iou"` and `"pixel_accuracy"`.

    Args:
        num_classes: Number of classes.
        ignore_label: Label of pixels to ignore. Defaults to 255.
        name: Name of the metric. Defaults to `"scores"`.

    Call arguments:
        y_true: Integer masks [B, H, W] or [B, H, W, 1].
        y_pred: Logits [B, H, W, C], or label maps [B, H, W] of an integer dtype.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.metrics import SegmentationScores
    >>> metric = SegmentationScores(num_classes=2)
    >>> metric.update_state(np.array([[[0, 0, 1, 255]]]), np.array([[[0, 1, 1, 1]]]))
    >>> {name: round(float(value), 4) for name, value in metric.result().items()}
    {'mean_iou': 0.5, 'pixel_accuracy': 0.6667}
    >>> metric.per_class().tolist()
    [0.5, 0.5]
    """

    def __init__(self, num_classes: int, ignore_label: int = 255, name: str = "scores"):
        super().__init__(num_classes, ignore_label, name)

    def result(self):
        """Return {name of the score: float32 scalar}."""
        return {"mean_iou": self.mean_iou(), "pixel_accuracy": self.pixel_accuracy()}
