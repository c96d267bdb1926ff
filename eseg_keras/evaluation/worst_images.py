"""Downscaled copies of the images with the lowest scores."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from eseg_keras.evaluation.scores import ImageScores
    from eseg_keras.inference.prediction import Prediction

# Largest length of the longer side of the copies, in pixels.
_LONG_SIDE = 640


@dataclasses.dataclass(frozen=True, eq=False)
class WorstImage:
    """Downscaled copies of an image, its mask and its label map, and the scores of the image.

    `image` is uint8 [h, w, 3], RGB, or `None` if there is no image; `mask` and `prediction` are
    uint8 [h, w]. The longer side has at most 640 pixels.
    """

    name: str
    mean_iou: float
    pixel_accuracy: float
    image: np.ndarray | None
    mask: np.ndarray
    prediction: np.ndarray


class WorstImages:
    """Collects downscaled copies of the `count` images with the lowest mean IoU of an evaluation.

    Images without labelled pixels have no score and are skipped; of images with equal scores, the
    first are kept. `palette` is the palette of the predictions; `None` before the first prediction.
    """

    def __init__(self, count: int = 20):
        if count < 1:
            raise ValueError(f"count must be at least 1. Received: count={count}")
        self.count = count
        self.palette: tuple[tuple[int, int, int], ...] | None = None
        self._kept: list[WorstImage] = []

    def add(self, prediction: "Prediction", mask: np.ndarray, scores: "ImageScores") -> None:
        """Keep copies of an image, its mask and its label map, if it is among the worst so far."""
        self.palette = self.palette or prediction.palette
        if scores.mean_iou is None:
            return
        if len(self._kept) == self.count and _rank(scores) >= _rank(self._kept[-1]):
            return
        worst = WorstImage(
            name=scores.name,
            mean_iou=scores.mean_iou,
            pixel_accuracy=scores.pixel_accuracy,
            image=None
            if prediction.image is None
            else _small(prediction.image, Image.Resampling.BOX),
            mask=_small(mask, Image.Resampling.NEAREST),
            prediction=_small(prediction.label_map, Image.Resampling.NEAREST),
        )
        self._kept = sorted([*self._kept, worst], key=_rank)[: self.count]

    def images(self) -> tuple[WorstImage, ...]:
        """Return the images, the worst first."""
        return tuple(self._kept)


def _rank(scores):
    return scores.mean_iou, scores.pixel_accuracy


def _small(pixels, resample):
    """Return a copy whose longer side has at most 640 pixels."""
    # Subsample very large images first: a copy of the whole image may not fit into memory.
    step = max(1, max(pixels.shape[:2]) // (4 * _LONG_SIDE))
    pixels = pixels[::step, ::step].astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[-1] != 3:
        # Images with other than three channels: show the first channel as grey.
        pixels = np.repeat(pixels[..., :1], 3, axis=-1)
    small = Image.fromarray(pixels)
    small.thumbnail((_LONG_SIDE, _LONG_SIDE), resample, reducing_gap=None)
    return np.array(small)
