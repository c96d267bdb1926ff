"""The images of an evaluation that scored lowest, kept small."""

import dataclasses
import heapq
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from eseg_keras.evaluation.scoring import ImageScores
    from eseg_keras.inference.prediction import Prediction

# Pixels of the longer side of what is kept.
_LONG_SIDE = 640


@dataclasses.dataclass(frozen=True, eq=False)
class WorstImage:
    """A small copy of an image and its label maps, with its scores.

    Attributes:
        name: Name of the image.
        mean_iou: Over the classes of this image.
        pixel_accuracy: Share of its labelled pixels that are right.
        image: uint8 [h, w, 3], RGB, its longer side at most 640.
        mask: uint8 [h, w], the annotation.
        prediction: uint8 [h, w].
    """

    name: str
    mean_iou: float
    pixel_accuracy: float
    image: np.ndarray
    mask: np.ndarray
    prediction: np.ndarray


class WorstImages:
    """Collects the images of lowest mean IoU while an evaluation runs.

    Only small copies of at most `count` images are in memory. An image without a labelled pixel has
    no score and is left out; of equal ones, those that came first stay.

    Attributes:
        class_names: Names of the classes, of the first prediction; `None` before it.
        palette: Their colours; `None` before it.

    Args:
        count: How many to keep.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.evaluation import ImageScores
    >>> from eseg_keras.evaluation.worst_images import WorstImages
    >>> from eseg_keras.inference import Prediction
    >>> worst = WorstImages(count=1)
    >>> labels = np.zeros((32, 64), "uint8")
    >>> for name, iou in [("a", 0.5), ("b", 0.25), ("c", 0.75)]:
    ...     image = np.zeros((32, 64, 3), "uint8")
    ...     prediction = Prediction(
    ...         name=name, image=image, label_map=labels, class_names=("road",),
    ...         palette=((128, 64, 128),), ignore_label=255,
    ...     )
    ...     scores = ImageScores(name=name, mean_iou=iou, pixel_accuracy=iou, num_pixels=2048)
    ...     worst.add(prediction, labels, scores)
    >>> [image.name for image in worst.images()]
    ['b']
    """

    def __init__(self, count: int = 20):
        if count < 1:
            raise ValueError(f"count must be at least 1. Received: count={count}")
        self.count = count
        self.class_names: tuple[str, ...] | None = None
        self.palette: tuple[tuple[int, int, int], ...] | None = None
        # The best of the worst is on top. The negative number of arrival keeps the first of equals.
        self._heap: list[tuple[float, float, int, WorstImage]] = []
        self._seen = 0

    def add(self, prediction: "Prediction", mask: np.ndarray, scores: "ImageScores") -> None:
        """Take a copy of an image if it is among the worst so far.

        Args:
            prediction: What was predicted.
            mask: The annotation, uint8 [H, W], of the image's size.
            scores: The scores of this image.
        """
        if self.class_names is None:
            self.class_names, self.palette = prediction.class_names, prediction.palette
        if scores.mean_iou is None:
            return
        self._seen += 1
        place = (-scores.mean_iou, -scores.pixel_accuracy, -self._seen)
        if len(self._heap) == self.count and place < self._heap[0][:3]:
            return
        kept = WorstImage(
            name=scores.name,
            mean_iou=scores.mean_iou,
            pixel_accuracy=scores.pixel_accuracy,
            image=_small(prediction.image, Image.Resampling.BOX),
            mask=_small(mask, Image.Resampling.NEAREST),
            prediction=_small(prediction.label_map, Image.Resampling.NEAREST),
        )
        push = heapq.heappush if len(self._heap) < self.count else heapq.heapreplace
        push(self._heap, (*place, kept))

    def images(self) -> tuple[WorstImage, ...]:
        """Return the images, the worst first."""
        return tuple(item[-1] for item in sorted(self._heap, reverse=True))


def _small(pixels, resample):
    """A copy whose longer side is at most 640."""
    # Of a very large image only every so many pixels are looked at: a whole copy may not fit.
    step = max(1, max(pixels.shape[:2]) // (4 * _LONG_SIDE))
    pixels = pixels[::step, ::step].astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[-1] != 3:
        # The image of a network for other channels: the first of them as grey.
        pixels = np.repeat(pixels[..., :1], 3, axis=-1)
    picture = Image.fromarray(pixels)
    scale = min(1.0, _LONG_SIDE / max(picture.size))
    size = [max(1, round(side * scale)) for side in picture.size]
    return np.array(picture.resize(size, resample))
