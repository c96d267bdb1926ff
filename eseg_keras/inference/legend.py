"""The names of the classes below a picture."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from eseg_keras.inference.overlays import Palette

INK = (32, 32, 32)
PAPER = (255, 255, 255)


def add_legend(
    picture: Image.Image, names: Sequence[str], colors: Palette, font_size: int | None = None
) -> Image.Image:
    """Add a strip below a picture that names its colours.

    Args:
        picture: An RGB picture.
        names: One name an entry.
        colors: One (red, green, blue) an entry, 0..255.
        font_size: Height of the letters in pixels. Defaults to 1/40 of the picture's longer side,
            at least 12.

    Returns:
        A new picture of the same width and a greater height; the picture's own pixels are
        unchanged.

    Raises:
        ValueError: If there is not one color a name.

    Example:

    >>> from PIL import Image
    >>> from eseg_keras.inference import add_legend
    >>> add_legend(Image.new("RGB", (320, 160)), ["road"], [(128, 64, 128)]).width
    320
    """
    if len(names) != len(colors):
        raise ValueError(f"Expected one color a name. Received: {len(names)}, {len(colors)}")
    size = font_size or max(12, max(picture.size) // 40)
    font = ImageFont.load_default(size)
    gap, line = size // 2, round(size * 1.6)
    places, x, y = [], gap, 0
    for name in names:
        width = round(size + gap + font.getlength(name) + 2 * gap)
        if x > gap and x + width > picture.width:
            x, y = gap, y + line
        places.append((x, y))
        x += width
    height = y + line + gap if places else 0
    result = Image.new("RGB", (picture.width, picture.height + height), PAPER)
    result.paste(picture.convert("RGB"), (0, 0))
    draw = ImageDraw.Draw(result)
    for name, color, (x, y) in zip(names, colors, places, strict=True):
        top = picture.height + y + gap
        draw.rectangle((x, top, x + size, top + size), fill=tuple(color), outline=INK)
        # Centred on the swatch, whatever letters the name holds.
        draw.text((x + size + gap, top + size / 2), name, fill=INK, font=font, anchor="lm")
    return result
