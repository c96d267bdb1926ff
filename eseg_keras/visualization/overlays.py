"""Show label maps in colour, as overlays of images or alone."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

Palette = Sequence[tuple[int, int, int]]


def default_palette(num_classes: int) -> tuple[tuple[int, int, int], ...]:
    """Return the colours of Pascal VOC, which are used if no palette is given.

    Args:
        num_classes: Number of colours, at most 256.

    Returns:
        One (red, green, blue) per class, 0..255; all are distinct.

    Example:

    >>> from eseg_keras.visualization import default_palette
    >>> default_palette(3)
    ((0, 0, 0), (128, 0, 0), (0, 128, 0))

    Reference:
        [The Pascal VOC development kit](http://host.robots.ox.ac.uk/pascal/VOC/)
    """
    colors = []
    for label in range(num_classes):
        # Bits 0 to 2 of the label are the highest bits of red, green and blue, bits 3 to 5 the
        # second highest bits, and so on.
        color = [0, 0, 0]
        for bit in range(8):
            color[bit % 3] |= (label >> bit & 1) << (7 - bit // 3)
        colors.append(tuple(color))
    return tuple(colors)


def overlay(
    image: np.ndarray, label_map: np.ndarray, palette: Palette | None = None, alpha: float = 0.5
) -> Image.Image:
    """Blend the colours of the classes with an image.

    Args:
        image: uint8 [H, W, 3], RGB.
        label_map: Integers [H, W]. Pixels whose label is not in the palette, such as an ignore
            label of 255, keep the image's colour.
        palette: One (red, green, blue) per class, 0..255. Defaults to `default_palette(255)`.
        alpha: Opacity of the colours, 0 to 1. Defaults to 0.5.

    Returns:
        A Pillow image of mode "RGB" and the size of `image`.

    Raises:
        ValueError: If `image` has another shape or dtype, the sizes differ, or `alpha` is out of
            range.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.visualization import overlay
    >>> image = np.full((1, 2, 3), 100, "uint8")
    >>> blended = overlay(image, np.array([[0, 255]]), palette=[(200, 0, 100)])
    >>> blended.getpixel((0, 0)), blended.getpixel((1, 0))
    ((150, 50, 100), (100, 100, 100))
    """
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"image must be uint8 [H, W, 3]. Received: {image.dtype} {list(image.shape)}"
        )
    if image.shape[:2] != label_map.shape:
        raise ValueError(
            "image and label_map must have the same size. "
            f"Received: image {list(image.shape)}, label_map {list(label_map.shape)}"
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be between 0 and 1. Received: alpha={alpha}")
    colors = np.asarray(default_palette(255) if palette is None else palette, np.float32)
    known = (label_map >= 0) & (label_map < len(colors))
    # The last row of each table, for labels without a colour, does not change the values.
    rows = np.where(known, label_map, len(colors)).astype(np.intp) * 256
    values = np.arange(256, dtype=np.float32)
    result = np.empty_like(image)
    for channel in range(3):
        table = (1 - alpha) * values + alpha * colors[:, channel, None]
        table = np.rint(np.vstack([table, values])).astype(np.uint8)
        result[..., channel] = np.take(table, rows + image[..., channel])
    return Image.fromarray(result)


def label_image(label_map: np.ndarray, palette: Palette | None = None) -> Image.Image:
    """Return a label map as a Pillow image in palette mode: pixel values are labels.

    Args:
        label_map: Integers [H, W], 0..255.
        palette: One (red, green, blue) per class. Labels without an entry get the colours of
            `default_palette`.

    Returns:
        A Pillow image of mode "P". As a PNG file, it keeps labels and colours.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.visualization import label_image
    >>> np.asarray(label_image(np.array([[0, 7, 255]]))).tolist()
    [[0, 7, 255]]
    """
    colors = np.asarray(default_palette(256), "uint8")
    if palette is not None:
        colors[: len(palette)] = np.asarray(palette, "uint8")
    image = Image.fromarray(label_map.astype("uint8"))
    image.putpalette(colors.tobytes(), rawmode="RGB")
    return image
