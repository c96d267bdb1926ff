"""Checks of training data: the values of the first images, and the labels of masks."""

import logging
from collections.abc import Iterable, Iterator

import keras
import numpy as np

from eseg_keras.metrics.confusion_matrix import ConfusionMatrix

_log = logging.getLogger("eseg_keras")

# Augmented images may slightly exceed 0..255.
_MARGIN = 64
# Images with negative values, and no values above this one, were normalized, for example by mean
# and standard deviation.
_NORMALIZED = 16

# Maximum number of values in a message: an image used as a mask has up to 256.
_MOST_VALUES = 16


class LabelCheck(keras.callbacks.Callback):
    """Raise ValueError if masks contain values that are neither classes nor ignored.

    A compiled step cannot raise errors, so the metrics (`ConfusionMatrix` and metrics based on it)
    count such pixels. This callback checks the counts after the first batch, after the training of
    an epoch, and after an evaluation.

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
        """Check the invalid labels of training before the validation resets their counts."""
        # Outside of `fit`, the counts are those of an earlier call.
        if self._training:
            check_labels(self.model.metrics, "training")

    def on_test_end(self, logs=None):
        """Check the invalid labels that were counted in the evaluation."""
        check_labels(self.model.metrics, "evaluation")

    def on_epoch_end(self, epoch, logs=None):
        """Check the invalid labels that were counted in training."""
        # After a validation, the metrics contain its counts, which `on_test_end` checked: checking
        # them again is harmless.
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


def check_first_images(x) -> None:
    """Raise ValueError if the first images of `fit` are not finite; warn if their range is unusual.

    `segment` and the readers of images raise an error if the values suggest another range than
    0..255. `fit` only warns, because the caller's augmentation may produce any range, and the first
    images may be black.
    """
    images = _first_images(x)
    if images is None or not images.size:
        return
    low, high = float(np.min(images)), float(np.max(images))
    if not np.isfinite([low, high]).all():
        raise ValueError(
            f"The first images have values from {low} to {high}. Remove or repair them."
        )
    remedy = None
    if 0 <= low < high <= 1:
        remedy = "multiply by 255, or omit the division"
    elif (low < 0 and high <= _NORMALIZED) or low < -_MARGIN or high > 255 + _MARGIN:
        remedy = "scale the images to this range"
    if remedy:
        _log.warning(
            "The first images have values from %.3g to %.3g. Networks of eseg_keras expect images "
            "of 0..255 and normalize them internally: %s.", low, high, remedy,
        )  # fmt: skip


def _first_images(x):
    """Return a few images; `None` for 8-bit images, and for iterators that cannot restart."""
    if isinstance(x, keras.utils.PyDataset):
        x = x[0]
    elif hasattr(x, "element_spec") and hasattr(x, "take"):
        specs = keras.tree.flatten(x.element_spec)
        if specs[0].dtype.name == "uint8":
            return None
        x = next(iter(x.take(1)), None)
    images = x[0] if isinstance(x, tuple | list) else x
    if not hasattr(images, "dtype") or len(images.shape) != 4:
        return None
    if keras.backend.standardize_dtype(images.dtype) == "uint8":
        return None
    return keras.ops.convert_to_numpy(images[:8])
