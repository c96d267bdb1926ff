"""Mean intersection over union."""

import keras
import numpy as np
from keras import ops

from eseg_keras.metrics.confusion_matrix import ConfusionMatrix


@keras.saving.register_keras_serializable(package="eseg_keras")
class MeanIoU(ConfusionMatrix):
    """Mean over classes of true positives / (true positives + false positives + false negatives).

    Counts cover all pixels seen since the last reset, not single images. Ignored pixels count
    nowhere; classes that neither labels nor predictions hold are left out of the mean.

    Args:
        num_classes: Number of classes.
        ignore_label: Label of pixels to leave out. Defaults to 255.
        name: Name of the metric. Defaults to `"mean_iou"`.

    Call arguments:
        y_true: Integer masks [B, H, W] or [B, H, W, 1].
        y_pred: Logits [B, H, W, C], or label maps [B, H, W] of an integer dtype.

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
        """Return the mean IoU, a float32 scalar; 0 before any pixel was seen."""
        matrix = self.float_matrix()
        hits = ops.diagonal(matrix)
        union = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - hits
        seen = ops.cast(union > 0, "float32")
        iou = hits / ops.maximum(union, 1.0)
        return ops.sum(iou * seen) / ops.maximum(ops.sum(seen), 1.0)

    def per_class(self) -> np.ndarray:
        """Return the IoU of every class.

        Returns:
            NumPy float64 [C], NaN where neither labels nor predictions hold the class.
        """
        matrix = self.confusion_matrix()
        hits = np.diag(matrix).astype("float64")
        union = matrix.sum(0) + matrix.sum(1) - hits
        return np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)
