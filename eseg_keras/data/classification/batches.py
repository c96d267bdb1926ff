"""Batches of images and labels: random crops to train, central crops to validate."""

import math

import numpy as np

from eseg_keras.data.epoch_batches import Column, EpochBatches

Size = tuple[int, int]

# Number of random boxes to try; after that, a central box is used.
_TRIES = 10


class ClassificationBatches(EpochBatches):
    """The batches of every epoch: images uint8 [B, H, W, 3] with one label each, int32 [B].

    `examples` are those of `class_folders` or `imagenet2012`, or any object with `__len__`,
    `read(index)`, which returns an image and its label, and `name(index)`. With `augment`, images
    are random crops, flipped with probability 0.5; otherwise they are central crops. `options` are
    further arguments of `EpochBatches`. `Batches` describes them, and the attributes.
    """

    def __init__(
        self,
        examples,
        image_size: tuple[int, int],
        *,
        augment: bool = False,
        **options,
    ):
        super().__init__(len(examples), image_size=image_size, **options)
        self.examples = examples
        self.augment = augment
        self.columns = (
            Column(np.dtype(np.uint8), (*self.image_size, 3)),
            Column(np.dtype(np.int32), ()),
        )

    def name(self, index: int) -> str:
        """Return the name of an example for messages."""
        return self.examples.name(index)

    def _read(self, index):
        return self.examples.read(index)

    def _transform(self, rng, image, label):
        if self.augment:
            image = random_resized_crop(image, self.image_size, rng)
        else:
            image = central_crop(image, self.image_size)
        return image, np.int32(label)


def random_resized_crop(
    image: np.ndarray,
    size: Size,
    rng: np.random.Generator,
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> np.ndarray:
    """Crop a random part of an image [H, W, 3], resize it, and flip it with probability 0.5.

    `area` is the smallest and largest area of the part, as a share of the image's area. `ratio` is
    the smallest and largest aspect ratio (width / height) of the part; the logarithm of this ratio
    is drawn uniformly. See [Going Deeper with Convolutions](https://arxiv.org/abs/1409.4842),
    section 6.
    """
    part = _resized(image, _random_box(image.shape[:2], rng, area, ratio), size)
    return part[:, ::-1] if rng.random() < 0.5 else part


def central_crop(image: np.ndarray, size: Size, share: float = 0.875) -> np.ndarray:
    """Crop the centre of an image [H, W, 3] and resize it.

    `share` is the side length of the crop, relative to the largest crop with the aspect ratio of
    `size`. The default is 224 / 256.
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
    # Rare, except for very long images: the largest central part whose ratio is allowed.
    box_width = min(width, max(1, round(height * ratio[1])))
    box_height = min(height, max(1, round(width / ratio[0])))
    left, top = (width - box_width) // 2, (height - box_height) // 2
    return left, top, left + box_width, top + box_height


def _resized(image, box, size):
    from PIL import Image

    pil_image = Image.fromarray(image)
    return np.asarray(pil_image.resize(size[::-1], Image.Resampling.BILINEAR, box=box))
