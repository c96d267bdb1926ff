"""Letters on pictures: the font, and names that are too long."""

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from PIL import ImageFont

INK = (32, 32, 32)
PAPER = (255, 255, 255)


def font_for(texts: Iterable[str], size: int) -> ImageFont.FreeTypeFont:
    """Return a font that has the letters of some texts, as far as there is one.

    Pillow brings a font of the English letters alone. For others, DejaVu Sans is taken from the
    system, or from matplotlib if that is installed.

    Args:
        texts: What is to be written.
        size: Height of a line in pixels.

    Returns:
        The font.

    Example:

    >>> from eseg_keras.visualization.texts import font_for
    >>> font_for(["road"], 20).getname()[0]
    'Aileron'
    """
    if not all(text.replace("…", "").isascii() for text in texts):
        matplotlib = importlib.util.find_spec("matplotlib")
        places = ["DejaVuSans.ttf"]
        if matplotlib is not None:
            data = Path(matplotlib.origin).with_name("mpl-data")
            places.append(str(data / "fonts" / "ttf" / "DejaVuSans.ttf"))
        for place in places:
            try:
                return ImageFont.truetype(place, size)
            except OSError:
                continue
    return ImageFont.load_default(size)


def shorten(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """Return a text that is at most so wide, without its middle if need be.

    Args:
        text: The text.
        font: Its font.
        width: Pixels that it may take.

    Returns:
        The text itself, or as much of both its ends as fits, around an ellipsis.

    Example:

    >>> from eseg_keras.visualization.texts import font_for, shorten
    >>> shorten("photos/aachen_000000_000019.png", font_for([], 10), 80)
    'photos/…019.png'
    """
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        shorter = f"{text[: kept // 2]}…{text[len(text) - (kept + 1) // 2 :]}"
        if font.getlength(shorter) <= width:
            return shorter
    return "…"
