"""The label map of one image, and how to show it."""

import dataclasses

import numpy as np
from PIL import Image

from eseg_keras.visualization import add_legend, label_image, overlay


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Prediction:
    """The label map of an image, with what is needed to show it.

    Attributes:
        name: File of the image; `"image 3"` if it has none, `"FILE#12"` for a frame of a video.
        image: uint8 [H, W, 3], RGB, upright; as many channels as the network takes. `None` for a
            label map of `eseg_keras.evaluation.evaluate_files`.
        label_map: uint8 [H, W] of class ids; `ignore_label` where the confidence is below
            `min_confidence`.
        class_names: One name per class.
        palette: One (red, green, blue) per class, 0..255.
        ignore_label: Label of the pixels without a class.
        confidence: float32 [H, W], probability of the likeliest class. This and the following are
            `None` unless named in the predictor's `maps`.
        entropy: float32 [H, W], 0 (sure) to 1.
        margin: float32 [H, W], probability of the likeliest class less that of the next.
        probabilities: float32 [H, W, C].

    Example:

    >>> import numpy as np
    >>> import eseg_keras
    >>> model = eseg_keras.ESeg.from_preset("eseg_lite_s_streets")
    >>> image, _ = eseg_keras.street_scenes.render_scene(0, split="test", image_size=(96, 192))
    >>> prediction = eseg_keras.inference.Predictor(model, maps=["entropy"])(image)
    >>> prediction.label_map.shape, prediction.overlay(legend=False).size
    ((96, 192), (192, 96))
    """

    name: str
    image: np.ndarray | None
    label_map: np.ndarray
    class_names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    ignore_label: int
    confidence: np.ndarray | None = None
    entropy: np.ndarray | None = None
    margin: np.ndarray | None = None
    probabilities: np.ndarray | None = None

    def overlay(self, alpha: float = 0.5, legend: bool = True) -> Image.Image:
        """Blend the classes' colours with the image.

        Args:
            alpha: Share of the colour, 0 to 1. Defaults to 0.5.
            legend: Whether to add a strip below that names the classes found. Defaults to `True`.

        Returns:
            An RGB Pillow image of the image's width; the legend adds to its height.
        """
        blended = overlay(self.image, self.label_map, self.palette, alpha)
        if not legend:
            return blended
        counts = np.bincount(self.label_map.ravel(), minlength=256)
        found = [label for label in range(len(self.class_names)) if counts[label]]
        return add_legend(
            blended,
            [self.class_names[label] for label in found],
            [self.palette[label] for label in found],
        )

    def label_image(self) -> Image.Image:
        """Return the label map as a Pillow image in palette mode; pixel values are class ids."""
        return label_image(self.label_map, self.palette)
