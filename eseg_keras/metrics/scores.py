"""Metrics of a confusion matrix: mean IoU, pixel accuracy, and both from the same counts."""

import keras

from eseg_keras.metrics.confusion_matrix import ConfusionMatrix


@keras.saving.register_keras_serializable(package="eseg_keras")
class MeanIoU(ConfusionMatrix):
    """Mean over classes of true positives / (true positives + false positives + false negatives).

    The IoU is computed over all pixels since the last reset, not per image. Ignored pixels do not
    count; classes that occur in neither labels nor predictions are excluded from the mean.

    Args:
        num_classes, ignore_label: See `ConfusionMatrix`, also for the call arguments.
        name: Name of the metric. Defaults to `"mean_iou"`.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.metrics import MeanIoU
    >>> metric = MeanIoU(num_classes=2)
    >>> metric.update_state(np.array([[[0, 0, 1, 255]]]), np.array([[[0, 1, 1, 1]]]))
    >>> float(metric.result())
    0.5

    Reference:
        [Cityscapes](https://arxiv.org/abs/1604.01685), section 3.4
    """

    def __init__(self, num_classes: int, ignore_label: int = 255, name: str = "mean_iou"):
        super().__init__(num_classes, ignore_label, name)

    def result(self):
        """Return the mean IoU, a float32 scalar; 0 if no pixel was counted."""
        return self.mean_iou()


@keras.saving.register_keras_serializable(package="eseg_keras")
class PixelAccuracy(ConfusionMatrix):
    """Pixel accuracy: share of labelled pixels that are classified correctly.

    Args:
        num_classes, ignore_label: See `ConfusionMatrix`, also for the call arguments.
        name: Name of the metric. Defaults to `"pixel_accuracy"`.

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


@keras.saving.register_keras_serializable(package="eseg_keras")
class SegmentationScores(ConfusionMatrix):
    """Mean IoU and pixel accuracy from the same counts.

    Faster than `MeanIoU` and `PixelAccuracy` together, because pixels are counted once. As a metric
    of `compile`, it logs `"mean_iou"` and `"pixel_accuracy"`.

    Args:
        num_classes, ignore_label: See `ConfusionMatrix`, also for the call arguments.
        name: Name of the metric. Defaults to `"scores"`.

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
