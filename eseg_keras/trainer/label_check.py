"""Stop training on masks with values that are not classes."""

from collections.abc import Iterable, Iterator

import keras

from eseg_keras.metrics.confusion_matrix import ConfusionMatrix

# An RGB image used as a mask has up to 256 values.
_MOST_VALUES = 16


class LabelCheck(keras.callbacks.Callback):
    """Raise after the first batch, or an epoch, if masks had values that are not classes.

    A compiled step cannot raise: it counts such pixels in the metrics (`ConfusionMatrix` and
    everything built on it), and this callback looks at what they counted, after training and after
    validation. The first batch is checked at once.

    Raises:
        ValueError: After the first batch, an epoch or an evaluation, with the values and how often
            each was seen.

    Example:

    >>> from eseg_keras.trainer import LabelCheck
    >>> callbacks = [LabelCheck()]
    """

    def __init__(self):
        super().__init__()
        self._training = False
        self._first_batch = True

    def on_epoch_begin(self, epoch, logs=None):
        """Remember that the metrics are training's."""
        self._training = True

    def on_train_batch_end(self, batch, logs=None):
        """Check the first batch: most mistakes are in every mask."""
        if self._first_batch:
            self._first_batch = False
            check_labels(self.model.metrics, "training")

    def on_test_begin(self, logs=None):
        """Check what training counted, before validation resets it."""
        # Outside `fit` the counts are left over from something else.
        if self._training:
            check_labels(self.model.metrics, "training")

    def on_test_end(self, logs=None):
        """Check what the evaluation counted."""
        check_labels(self.model.metrics, "evaluation")

    def on_epoch_end(self, epoch, logs=None):
        """Check what training counted."""
        # After a validation this sees its counts again, which passed.
        check_labels(self.model.metrics, "training")
        self._training = False


def check_labels(metrics: Iterable[keras.metrics.Metric], phase: str = "training") -> None:
    """Raise if the metrics have counted labels or predictions that they should not have seen.

    Args:
        metrics: Metrics such as `model.metrics`, also those inside others.
        phase: Name of the counted data in the error message. Defaults to `"training"`.

    Raises:
        ValueError: With the values seen, the number of pixels, and what to do.

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
