"""Constants that scale images of 0..255 to the input range of pretrained encoders."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# image * scale + offset == (image / 255 - mean) / std, in RGB order.
IMAGENET_SCALE = [1 / (255 * std) for std in IMAGENET_STD]
IMAGENET_OFFSET = [-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]


def for_channels(constants: float | list[float], channels: int) -> float | list[float]:
    """Return `constants` for 3 channels, or their mean for another number of channels."""
    if channels == 3 or isinstance(constants, int | float):
        return constants
    return sum(constants) / len(constants)
