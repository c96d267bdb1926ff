"""Text on images: choose a font, and shorten long texts."""

import importlib.util
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from PIL import ImageFont

INK = (32, 32, 32)
PAPER = (255, 255, 255)


def font_for(texts: Iterable[str], size: int) -> ImageFont.FreeTypeFont:
    """Return a font of `size` pixels that contains the characters of some texts.

    Pillow's default font contains ASCII characters only. Other texts need DejaVu Sans, from the
    system or from matplotlib; if it is not installed, the default font is returned.
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


def printable(text: str) -> str:
    """Return a text with control characters and surrogates escaped, such as `\\udce9`.

    Line breaks are escaped, too. File names that are not UTF-8 contain surrogates.
    """
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in ("Cc", "Cs") else c
        for c in text
    )


def shorten(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """Return a text; if it is wider than `width` pixels, an ellipsis replaces its middle."""
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        shorter = f"{text[: kept // 2]}…{text[len(text) - (kept + 1) // 2 :]}"
        if font.getlength(shorter) <= width:
            return shorter
    return "…"
