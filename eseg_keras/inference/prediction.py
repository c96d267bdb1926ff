"""What a predictor says about one image."""

import dataclasses

import numpy as np
from PIL import Image

from eseg_keras.visualization import add_legend, label_image, overlay


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Prediction:
    """The label map of an image, with what is needed to show it.

    Attributes:
        name: File of the image; `"image 3"` for one that has none, `"FILE#12"` for a frame.
        image: uint8 [H, W, 3], RGB, as it is meant to be seen (another number of channels where the
            network has another).
        label_map: uint8 [H, W] of class ids; `ignore_label` where the network was less sure than
            `min_confidence` asked for.
        class_names: One name a class.
        palette: One (red, green, blue) a class, 0..255.
        ignore_label: Label of the pixels without a class.
        confidence: float32 [H, W], probability of the likeliest class, if asked for.
        entropy: float32 [H, W], 0 (sure) to 1, if asked for.
        margin: float32 [H, W], probability of the likeliest class less that of the next, if asked
            for.
        probabilities: float32 [H, W, C], if asked for.

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
    image: np.ndarray
    label_map: np.ndarray
    class_names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    ignore_label: int
    confidence: np.ndarray | None = None
    entropy: np.ndarray | None = None
    margin: np.ndarray | None = None
    probabilities: np.ndarray | None = None

    def overlay(self, alpha: float = 0.5, legend: bool = True) -> Image.Image:
        """Lay the classes' colours over the image.

        Args:
            alpha: Share of the colour, 0 to 1. Defaults to 0.5.
            legend: Whether a strip below names the classes found. Defaults to `True`.

        Returns:
            An RGB picture of the image's width, higher by the legend.
        """
        picture = overlay(self.image, self.label_map, self.palette, alpha)
        if not legend:
            return picture
        counts = np.bincount(self.label_map.ravel(), minlength=256)
        found = [label for label in range(len(self.class_names)) if counts[label]]
        return add_legend(
            picture,
            [self.class_names[label] for label in found],
            [self.palette[label] for label in found],
        )

    def label_image(self) -> Image.Image:
        """Return the label map as a palette picture, whose pixel values are the labels."""
        return label_image(self.label_map, self.palette)
