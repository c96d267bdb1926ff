"""The prediction for one image: label map, other maps and overlay."""

import dataclasses

import numpy as np
from PIL import Image

from eseg_keras.visualization import add_legend, label_image, overlay


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Prediction:
    """The prediction for one image: the label map, and the image and classes to visualize it.

    Attributes:
        name: File of the image; `"image 3"` for arrays and Pillow images, `"FILE#12"` for a frame
            of a video.
        image: The image with EXIF rotation applied, uint8 [H, W, 3], RGB; for a network with
            another number of channels, [H, W, C] of any dtype. `None` if
            `eseg_keras.evaluation.evaluate_files` has read the label map from a file.
        label_map: uint8 [H, W] of class ids; `ignore_label` where the confidence is below
            `min_confidence`.
        class_names: One name per class.
        palette: One (red, green, blue) per class, 0..255.
        ignore_label: Label of pixels without a class.
        confidence: float32 [H, W], probability of the most likely class. `confidence`, `entropy`,
            `margin` and `probabilities` are `None` unless they are in the predictor's `maps`.
        entropy: float32 [H, W], from 0 (certain) to 1.
        margin: float32 [H, W], probability of the most likely class minus that of the second most
            likely class.
        probabilities: float32 [H, W, num_classes].

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
        """Blend the colours of the classes with the image.

        Args:
            alpha: Opacity of the colours, 0 to 1. Defaults to 0.5.
            legend: Whether to add a legend of the predicted classes below the image. Defaults to
                `True`.

        Returns:
            An RGB Pillow image of the same width as the image; the legend increases its height.

        Raises:
            ValueError: If the prediction has no image, or `alpha` is out of range.
        """
        if self.image is None:
            raise ValueError(
                f"The prediction of {self.name} was read from a label map and has no image. Use "
                "`label_image` instead of `overlay`."
            )
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
