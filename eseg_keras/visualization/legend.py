"""A legend of class names below an image."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from eseg_keras.visualization.texts import INK, PAPER, font_for, printable, shorten

# Smallest font size in pixels; names that are still too long are shortened.
_SMALLEST = 8


def hatching(height: int, width: int) -> np.ndarray:
    """Return the grey stripes that mark pixels without a class, uint8 [H, W, 3]."""
    diagonal = np.add.outer(np.arange(height), np.arange(width))
    grey = np.where(diagonal % 6 < 4, 240, 150).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def add_legend(
    image: Image.Image,
    names: Sequence[str],
    colors: Sequence[tuple[int, int, int] | None],
    font_size: int | None = None,
) -> Image.Image:
    """Add a legend of colours below an image.

    Args:
        image: An RGB Pillow image.
        names: One name per legend entry.
        colors: One (red, green, blue), 0..255, per legend entry; `None` for the grey stripes of
            pixels without a class.
        font_size: Font size in pixels. Defaults to 1/40 of the image's longer side (or 1/6 of the
            shorter side if that is less), at least 12. It is reduced, to 8 at least, if a name does
            not fit the image's width; names that are still too long are shortened in the middle.

    Returns:
        A new, higher image of the same width, with the legend below the pixels of `image`.

    Raises:
        ValueError: If the numbers of names and colours differ.

    Example:

    >>> from PIL import Image
    >>> from eseg_keras.visualization import add_legend
    >>> add_legend(Image.new("RGB", (320, 160)), ["road"], [(128, 64, 128)]).width
    320
    """
    if len(names) != len(colors):
        raise ValueError(f"Expected one color per name. Received: {len(names)}, {len(colors)}")
    names = [printable(name) for name in names]
    # 1/6 of the shorter side: the legend of a panorama must not be higher than the panorama.
    size = font_size or max(12, min(max(image.size) // 40, min(image.size) // 6))
    widest = max((font_for(names, size).getlength(name) for name in names), default=0)
    # The colour swatch and the gaps are 2.5 font sizes wide.
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
