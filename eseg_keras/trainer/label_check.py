"""Stop training if masks contain values that are neither classes nor ignored."""

from collections.abc import Iterable, Iterator

import keras

from eseg_keras.metrics.confusion_matrix import ConfusionMatrix

# Maximum number of values in a message: an image used as a mask has up to 256.
_MOST_VALUES = 16


class LabelCheck(keras.callbacks.Callback):
    """Raise ValueError if masks contain values that are neither classes nor ignored.

    A compiled step cannot raise: the metrics (`ConfusionMatrix` and metrics based on it) count
    such pixels. This callback checks these counts after the first batch, after the training of an
    epoch, and after an evaluation.

    Raises:
        ValueError: After the first batch, an epoch or an evaluation; the message contains the
            values and their pixel counts.

    Example:

    >>> from eseg_keras.trainer import LabelCheck
    >>> callbacks = [LabelCheck()]
    """

    def __init__(self):
        super().__init__()
        self._training = False
        self._first_batch = True

    def on_epoch_begin(self, epoch, logs=None):
        """Remember that the metrics now count training batches."""
        self._training = True

    def on_train_batch_end(self, batch, logs=None):
        """Check the first batch: most mistakes affect every mask."""
        if self._first_batch:
            self._first_batch = False
            check_labels(self.model.metrics, "training")

    def on_test_begin(self, logs=None):
        """Check the counts of training before validation resets them."""
        # Outside of `fit`, the counts are those of an earlier call.
        if self._training:
            check_labels(self.model.metrics, "training")

    def on_test_end(self, logs=None):
        """Check the counts of the evaluation."""
        check_labels(self.model.metrics, "evaluation")

    def on_epoch_end(self, epoch, logs=None):
        """Check the counts of training."""
        # After a validation, the metrics contain its counts, which were already checked.
        check_labels(self.model.metrics, "training")
        self._training = False


def check_labels(metrics: Iterable[keras.metrics.Metric], phase: str = "training") -> None:
    """Raise ValueError if the metrics have counted invalid labels or predictions.

    Args:
        metrics: Metrics, such as `model.metrics`; nested metrics are also checked.
        phase: Name of the counted data in the error message. Defaults to `"training"`.

    Raises:
        ValueError: The message contains the values, their pixel counts and the remedy.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.metrics import MeanIoU
    >>> from eseg_keras.trainer import check_labels
    >>> metric = MeanIoU(num_classes=2)
    >>> metric.update_state(np.array([[[0, 1, 2]]]), np.array([[[0, 1, 1]]]))
    >>> check_labels([metric])
    Traceback (most recent call last):
    ValueError: The masks of training contain labels that are neither ...
    """
    for metric in _confusion_matrices(metrics):
        if labels := metric.invalid_labels():
            shown = sorted(labels.items(), key=lambda item: -item[1])[:_MOST_VALUES]
            values = ", ".join(f"{value} ({pixels:,} pixels)" for value, pixels in shown)
            rest = f" and {len(labels) - len(shown)} other values" * (len(labels) > len(shown))
            raise ValueError(
                f"The masks of {phase} contain labels that are neither one of the "
                f"{metric.num_classes} classes (0 to {metric.num_classes - 1}) nor ignored "
                f"({metric.ignore_label}): {values}{rest}. Map them with the data's `class_map`, "
                "or, if one of them stands for unlabelled pixels, pass it to the model: "
                "ESeg(ignore_label=...)."
            )
        if pixels := metric.invalid_predictions():
            raise ValueError(
                f"The predictions of {phase} are outside the {metric.num_classes} classes (0 to "
                f"{metric.num_classes - 1}) at {pixels:,} labelled pixels. Predicted label maps "
                "must contain the ids of the masks."
            )


def _confusion_matrices(metrics) -> Iterator[ConfusionMatrix]:
    for metric in metrics:
        if isinstance(metric, ConfusionMatrix):
            yield metric
        else:
            # Keras wraps the metrics of `compile` in one metric.
            yield from _confusion_matrices(getattr(metric, "metrics", ()))
