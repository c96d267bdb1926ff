"""Random changes of brightness, contrast, saturation and hue."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PhotometricDistortion:
    """Random brightness, contrast, saturation and hue, as in SSD.

    Each of the four is applied with probability 0.5, by an amount drawn uniformly. The order is
    brightness, contrast, saturation, hue or brightness, saturation, hue, contrast, each with
    probability 0.5. After each step, values are rounded to integers and clipped to 0..255.
    Saturation and hue are changed in one step, in 8-bit HSV.

    Args:
        brightness: Largest value that is added to or subtracted from all values, 0 to 255.
        contrast: Smallest and largest factor of all values.
        saturation: Smallest and largest factor of the saturation.
        hue: Largest shift of the hue in either direction, in degrees, 0 to 180. The value 18 of
            other implementations is 36 degrees: OpenCV's 8-bit hue has units of 2 degrees.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.data.photometric_distortion import PhotometricDistortion
    >>> distort = PhotometricDistortion()
    >>> distort(np.full((2, 4, 3), 100, np.uint8), np.random.default_rng(0)).shape
    (2, 4, 3)

    Reference:

    - [SSD: Single Shot MultiBox Detector](https://arxiv.org/abs/1512.02325)
    """

    brightness: float = 32.0
    contrast: tuple[float, float] = (0.5, 1.5)
    saturation: tuple[float, float] = (0.5, 1.5)
    hue: float = 36.0

    def __post_init__(self):
        for name, largest in (("brightness", 255), ("hue", 180)):
            if not 0 <= getattr(self, name) <= largest:
                raise ValueError(
                    f"`{name}` must be from 0 to {largest}. Received: {name}={getattr(self, name)}"
                )
        for name in ("contrast", "saturation"):
            smallest, largest = getattr(self, name)
            if not 0 <= smallest <= largest:
                raise ValueError(
                    f"`{name}` must be (smallest, largest), both 0 or above, such as (0.5, 1.5). "
                    f"Received: {name}={getattr(self, name)}"
                )

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the distorted image; raise ValueError unless the image is uint8 [H, W, 3]."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
            raise ValueError(
                "Photometric distortion requires 8-bit RGB images, uint8 [H, W, 3]. Received: "
                f"{image.dtype} {list(image.shape)}. Convert the images, or turn the distortion off"
            )
        # Always draw the same number of random numbers, whichever steps are applied.
        happens = rng.random(5) < 0.5
        add, times, saturate, turn = rng.uniform(
            (-self.brightness, self.contrast[0], self.saturation[0], -self.hue),
            (self.brightness, self.contrast[1], self.saturation[1], self.hue),
        )
        add, times, saturate, turn = np.where(
            happens[:4], (add, times, saturate, turn), (0, 1, 1, 0)
        )
        if happens[4]:
            return change_color(change_tone(image, add, times), saturate, turn)
        return change_tone(change_color(change_tone(image, add, 1), saturate, turn), 0, times)


def change_tone(image: np.ndarray, add: float, times: float) -> np.ndarray:
    """Add `add` to all values of a uint8 array, then multiply them by `times`."""
    if add == 0 and times == 1:
        return image
    return np.take(_bytes(_bytes(np.arange(256) + add) * times), image)


def change_color(image: np.ndarray, saturate: float, turn: float) -> np.ndarray:
    """Multiply the HSV saturation of a uint8 RGB array and shift its hue by `turn` degrees."""
    from PIL import Image

    if saturate == 1 and turn == 0:
        return image
    values = np.arange(256)
    # Pillow's hues are 0 to 254, so they wrap at 255.
    hues = (values + round(turn * 255 / 360)) % 255
    table = [*hues.tolist(), *_bytes(values * saturate).tolist(), *values.tolist()]
    hsv = Image.fromarray(np.ascontiguousarray(image)).convert("HSV").point(table)
    return np.asarray(hsv.convert("RGB"))


def _bytes(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
