"""Random augmentation of an image and its mask: scale, crop, flip and colours."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from eseg_keras.data.camera_variation import CameraVariation
from eseg_keras.data.geometry import resize_window, scaled
from eseg_keras.data.photometric_distortion import PhotometricDistortion

_SEEDING = threading.Lock()


@dataclass(frozen=True)
class Augmentation:
    """Random scale, crop and horizontal flip, as in the paper, and optional colour distortion.

    The result depends only on these settings and on the arguments of the call: NumPy arrays and a
    random generator.

    The image and its mask are scaled by a factor drawn uniformly from `scale`, then cropped at a
    random position. A scaled image that is smaller than the crop is placed at a random position in
    the crop, and padded: the image with `fill`, the mask with `ignore_label`. For the augmentation
    of HRNet (scales in steps of 0.1, black padding at the bottom and right), pass `scale_step=0.1,
    fill=(0, 0, 0), place_at_random=False`.

    Args:
        flip: Whether to flip horizontally with probability 0.5.
        scale: Smallest and largest scale factor, relative to the image's own size.
        scale_step: Step between scale factors, counted from the smallest. Defaults to `None`: scale
            factors are continuous.
        place_at_random: Whether an image smaller than the crop is placed at a random position in
            the crop; otherwise at the top left. Defaults to `True`.
        fill: Padding values of the image, one per channel. Defaults to the mean of the image.
        ignore_label: Padding value of the mask.
        photometric_distortion: Random brightness, contrast, saturation and hue of the crop: a
            `PhotometricDistortion`, or True for its defaults. The paper does not use this
            distortion. It requires 8-bit RGB images, and does not change the position of the crop.
        transform: Further augmentation of the crop: an Albumentations transform, or any callable
            `transform(image=image, mask=mask)` that returns a dict of `"image"` and `"mask"` with
            the same shapes and dtypes. If it has a method `set_random_seed`, as Albumentations
            transforms do, it is seeded before each call, so that batches are reproducible.
        camera_variation: Random colour cast, blur and noise of the crop, before `transform`. It
            requires 8-bit RGB images.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.data import Augmentation
    >>> augmentation = Augmentation(scale=(0.5, 2.0))
    >>> image, mask = np.zeros((40, 60, 3), np.uint8), np.ones((40, 60), np.uint8)
    >>> image, mask = augmentation(image, mask, (32, 32), np.random.default_rng(0))
    >>> image.shape, mask.shape
    ((32, 32, 3), (32, 32))

    Reference:

    - [Revisiting Multi-Scale Feature Fusion for Semantic Segmentation](
        https://arxiv.org/abs/2203.12683), section 4.1
    """

    flip: bool = True
    scale: tuple[float, float] = (0.5, 2.0)
    fill: tuple[float, ...] | None = None
    ignore_label: int = 255
    photometric_distortion: PhotometricDistortion | bool | None = None
    scale_step: float | None = None
    place_at_random: bool = True
    transform: Callable[..., Mapping[str, np.ndarray]] | None = None
    camera_variation: CameraVariation | None = None

    def __post_init__(self):
        if isinstance(self.photometric_distortion, bool):
            distortion = PhotometricDistortion() if self.photometric_distortion else None
            object.__setattr__(self, "photometric_distortion", distortion)
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(
                "`scale` must be (smallest, largest), both above 0, such as (0.5, 2.0). "
                f"Received: scale={self.scale}"
            )
        if self.scale_step is not None and self.scale_step <= 0:
            raise ValueError(
                f"`scale_step` must be above 0, or None. Received: scale_step={self.scale_step}"
            )

    def __call__(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        image_size: tuple[int, int],
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Augment one example.

        Args:
            image: uint8 or float array [H, W, C].
            mask: Integer array [H, W].
            image_size: (height, width) of the result.
            rng: Source of all random numbers.

        Returns:
            The image [*image_size, C] and the mask [*image_size], in the dtypes of the arguments.
        """
        size = scaled(mask.shape, self._draw_scale(rng))
        # Along sides that are shorter than the crop, the offset is 0 or below.
        offset = tuple(
            int(rng.integers(min(0, spare * self.place_at_random), max(0, spare), endpoint=True))
            for spare in (size[0] - image_size[0], size[1] - image_size[1])
        )
        image, mask = resize_window(
            image, mask, size, offset, image_size, ignore_label=self.ignore_label, fill=self.fill
        )
        if self.flip and rng.random() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
        # Distort last, so that scale, crop and flip are the same with and without distortion.
        if self.photometric_distortion is not None:
            image = self.photometric_distortion(image, rng)
        if self.camera_variation is not None:
            image = self.camera_variation(image, rng)
        if self.transform is not None:
            image, mask = _transformed(self.transform, image, mask, rng)
        return image, mask

    def _draw_scale(self, rng):
        smallest, largest = self.scale
        if self.scale_step is None:
            return rng.uniform(smallest, largest)
        # 1e-6 keeps the largest scale despite rounding, such as 2.0 for (0.5, 2.0) and step 0.1.
        steps = int((largest - smallest) / self.scale_step + 1e-6)
        return smallest + self.scale_step * int(rng.integers(0, steps, endpoint=True))


def _transformed(transform, image, mask, rng):
    image, mask = np.ascontiguousarray(image), np.ascontiguousarray(mask)
    # The lock prevents another thread from seeding the transform before it is called.
    with _SEEDING:
        if hasattr(transform, "set_random_seed"):
            transform.set_random_seed(int(rng.integers(2**31)))
        changed = transform(image=image, mask=mask)
    for name, before in (("image", image), ("mask", mask)):
        after = changed[name]
        if after.shape != before.shape or after.dtype != before.dtype:
            raise ValueError(
                f"`transform` must keep the {name}'s shape and dtype, {before.dtype} "
                f"{list(before.shape)}. Received: {after.dtype} {list(after.shape)}. Remove "
                "resizing, normalisation and conversion to tensors from `transform`."
            )
    return changed["image"], changed["mask"]
