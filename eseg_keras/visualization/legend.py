"""A legend of class names below an image."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from eseg_keras.visualization.texts import INK, PAPER, font_for, printable, shorten

# Letters shrink to this many pixels before a long name loses its middle.
_SMALLEST = 8


def hatching(height: int, width: int) -> np.ndarray:
    """Return the grey stripes that stand for pixels without a class, uint8 [H, W, 3]."""
    diagonal = np.add.outer(np.arange(height), np.arange(width))
    grey = np.where(diagonal % 6 < 4, 240, 150).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def add_legend(
    image: Image.Image,
    names: Sequence[str],
    colors: Sequence[tuple[int, int, int] | None],
    font_size: int | None = None,
) -> Image.Image:
    """Add a strip below an image that names its colours.

    Args:
        image: An RGB Pillow image.
        names: One name per entry.
        colors: One (red, green, blue) per entry, 0..255; `None` for the grey stripes of pixels
            without a class.
        font_size: Height of the letters in pixels. Defaults to 1/40 of the image's longer side
            (1/6 of the shorter if that is less), at least 12. It shrinks if a name does not fit the
            image's width; a name that is far too long is shortened in its middle.

    Returns:
        A new, higher image of the same width, with the pixels of `image` on top.

    Raises:
        ValueError: If there is not one color per name.

    Example:

    >>> from PIL import Image
    >>> from eseg_keras.visualization import add_legend
    >>> add_legend(Image.new("RGB", (320, 160)), ["road"], [(128, 64, 128)]).width
    320
    """
    if len(names) != len(colors):
        raise ValueError(f"Expected one color per name. Received: {len(names)}, {len(colors)}")
    names = [printable(name) for name in names]
    # The legend of a panorama must not be higher than the panorama.
    size = font_size or max(12, min(max(image.size) // 40, min(image.size) // 6))
    widest = max((font_for(names, size).getlength(name) for name in names), default=0)
    # A swatch and its gaps are two and a half letters wide.
    fitting = int(size * image.width / (widest + 2.5 * size))
    size = max(min(size, fitting), min(size, _SMALLEST))
    font = font_for(names, size)
    gap, line = size // 2, round(size * 1.6)
    names = [shorten(name, font, image.width - size - 3 * gap) for name in names]
    places, x, y = [], gap, 0
    for name in names:
        width = round(size + gap + font.getlength(name) + 2 * gap)
        if x > gap and x + width - gap > image.width:
            x, y = gap, y + line
        places.append((x, y))
        x += width
    height = y + line + gap if places else 0
    result = Image.new("RGB", (image.width, image.height + height), PAPER)
    result.paste(image.convert("RGB"), (0, 0))
    draw = ImageDraw.Draw(result)
    for name, color, (x, y) in zip(names, colors, places, strict=True):
        top = image.height + y + gap
        if color is None:
            result.paste(Image.fromarray(hatching(size, size)), (x, top))
        fill = None if color is None else tuple(color)
        draw.rectangle((x, top, x + size, top + size), fill=fill, outline=INK)
        draw.text((x + size + gap, top + size / 2), name, fill=INK, font=font, anchor="lm")
    return result
