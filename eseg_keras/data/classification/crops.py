"""Random crops to train a classifier, and central crops to validate it."""

import math

import numpy as np

Size = tuple[int, int]

# Number of random boxes to try; after that, a central box is used.
_TRIES = 10


def random_resized_crop(
    image: np.ndarray,
    size: Size,
    rng: np.random.Generator,
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> np.ndarray:
    """Crop a random part of an image, resize it, and flip it with probability 0.5.

    Args:
        image: uint8 array [H, W, 3].
        size: (height, width) of the result, uint8 [*size, 3].
        rng: Source of all random numbers.
        area: Smallest and largest area of the part, as a share of the image's area.
        ratio: Smallest and largest width / height of the part; its logarithm is drawn uniformly.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.data.classification import random_resized_crop
    >>> image = np.zeros((50, 60, 3), np.uint8)
    >>> random_resized_crop(image, (32, 32), np.random.default_rng(0)).shape
    (32, 32, 3)

    Reference:
        [Going Deeper with Convolutions](https://arxiv.org/abs/1409.4842), section 6
    """
    part = _resized(image, _random_box(image.shape[:2], rng, area, ratio), size)
    return part[:, ::-1] if rng.random() < 0.5 else part


def central_crop(image: np.ndarray, size: Size, share: float = 0.875) -> np.ndarray:
    """Crop the centre of an image and resize it.

    Args:
        image: uint8 array [H, W, 3].
        size: (height, width) of the result, uint8 [*size, 3].
        share: Size of the crop, relative to the largest crop with the aspect ratio of `size`.
            Defaults to 0.875: 224 of 256 pixels.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.data.classification import central_crop
    >>> central_crop(np.zeros((50, 60, 3), np.uint8), (32, 32)).shape
    (32, 32, 3)
    """
    height, width = image.shape[:2]
    scale = share * min(height / size[0], width / size[1])
    box_height, box_width = size[0] * scale, size[1] * scale
    top, left = (height - box_height) / 2, (width - box_width) / 2
    return _resized(image, (left, top, left + box_width, top + box_height), size)


def _random_box(image_size, rng, area, ratio):
    """Return (left, top, right, bottom) of a random part."""
    height, width = image_size
    for _ in range(_TRIES):
        pixels = height * width * rng.uniform(*area)
        shape = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        box_width = round(math.sqrt(pixels * shape))
        box_height = round(math.sqrt(pixels / shape))
        if 0 < box_width <= width and 0 < box_height <= height:
            left = int(rng.integers(width - box_width, endpoint=True))
            top = int(rng.integers(height - box_height, endpoint=True))
            return left, top, left + box_width, top + box_height
    # Only for very long images: the largest central part whose ratio is allowed.
    box_width = min(width, max(1, round(height * ratio[1])))
    box_height = min(height, max(1, round(width / ratio[0])))
    left, top = (width - box_width) // 2, (height - box_height) // 2
    return left, top, left + box_width, top + box_height


def _resized(image, box, size):
    from PIL import Image

    pil_image = Image.fromarray(image)
    return np.asarray(pil_image.resize(size[::-1], Image.Resampling.BILINEAR, box=box))
