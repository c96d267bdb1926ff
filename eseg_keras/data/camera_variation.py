"""Random colour cast, blur and noise, as between cameras, lenses and times of day."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CameraVariation:
    """Random colour cast, blur and noise of images.

    Each of the three is applied with probability 0.5, by an amount drawn uniformly: the blur, then
    the cast, then the noise. The result is rounded and clipped to 0..255.

    Args:
        cast: Largest relative change of red and of blue, 0 to 1, independent of each other: 0.25
            for factors of 0.75 to 1.25. Green is not changed.
        blur: Largest standard deviation of the Gaussian blur, in pixels.
        noise: Largest standard deviation of the Gaussian noise, in values of 0..255. The noise of
            each pixel and channel is independent.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.data import CameraVariation
    >>> vary = CameraVariation()
    >>> vary(np.full((2, 4, 3), 100, np.uint8), np.random.default_rng(0)).shape
    (2, 4, 3)
    """

    cast: float = 0.25
    blur: float = 1.5
    noise: float = 12.0

    def __post_init__(self):
        for name, largest in (("cast", 1), ("blur", np.inf), ("noise", 255)):
            if not 0 <= getattr(self, name) <= largest:
                raise ValueError(
                    f"`{name}` must be from 0 to {largest}. Received: {name}={getattr(self, name)}"
                )

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the changed image; raise ValueError unless the image is uint8 [H, W, 3]."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
            raise ValueError(
                "Camera variation requires 8-bit RGB images, uint8 [H, W, 3]. Received: "
                f"{image.dtype} {list(image.shape)}. Convert the images, or turn the variation off"
            )
        # Always draw the same number of random numbers, whichever steps are applied.
        has_cast, has_blur, has_noise = rng.random(3) < 0.5
        red, blue = 1 + rng.uniform(-self.cast, self.cast, 2)
        radius, deviation = rng.uniform(0, (self.blur, self.noise))
        seed = rng.integers(2**63)
        if has_blur and radius:
            from PIL import Image, ImageFilter

            blurred = Image.fromarray(np.ascontiguousarray(image))
            image = np.asarray(blurred.filter(ImageFilter.GaussianBlur(float(radius))))
        values = image
        if has_cast:
            values = values * np.array([red, 1, blue], np.float32)
        if has_noise:
            noise = np.random.default_rng(seed).standard_normal(image.shape, np.float32)
            values = values + np.float32(deviation) * noise
        return image if values is image else np.clip(np.rint(values), 0, 255).astype(np.uint8)
