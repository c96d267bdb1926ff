"""Text on images: the font, and shortening long names."""

import importlib.util
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from PIL import ImageFont

INK = (32, 32, 32)
PAPER = (255, 255, 255)


def font_for(texts: Iterable[str], size: int) -> ImageFont.FreeTypeFont:
    """Return a font that has the letters of some texts, `size` pixels high.

    Pillow's own font has English letters only. Others come from DejaVu Sans, of the system or of
    matplotlib, if one of these is installed.
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
    """Return a text in one line, control characters and invalid ones escaped, as `\\udce9`.

    Names of files that are not UTF-8 hold such characters, which no font has.
    """
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in ("Cc", "Cs") else c
        for c in text
    )


def shorten(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """Return a text of at most a width in pixels, its middle replaced by an ellipsis if need be."""
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        shorter = f"{text[: kept // 2]}…{text[len(text) - (kept + 1) // 2 :]}"
        if font.getlength(shorter) <= width:
            return shorter
    return "…"
