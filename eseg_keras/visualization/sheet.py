"""Pictures side by side, on one sheet."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from eseg_keras.visualization.texts import INK, PAPER, font_for, shorten

_GAP = 8


def fit(picture: Image.Image, longer_side: int, resample: Image.Resampling) -> Image.Image:
    """Scale a picture, up or down, to a length of its longer side.

    Args:
        picture: The picture.
        longer_side: Pixels.
        resample: How; label maps need `Image.Resampling.NEAREST`.

    Returns:
        The scaled picture; its shorter side has at least one pixel.

    Example:

    >>> from PIL import Image
    >>> from eseg_keras.visualization.sheet import fit
    >>> fit(Image.new("L", (64, 32)), 100, Image.Resampling.NEAREST).size
    (100, 50)
    """
    scale = longer_side / max(picture.size)
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    return picture.resize(size, resample)


def sheet(
    rows: Sequence[Sequence[Image.Image]],
    captions: Sequence[Sequence[str]],
    headings: Sequence[str] = (),
    font_size: int = 13,
) -> Image.Image:
    """Lay pictures out in rows and columns.

    Columns are as wide as the widest picture, a row as high as its highest; a smaller picture
    stands in the middle.

    Args:
        rows: Pictures; a row may be shorter than the others.
        captions: A line below each picture, or an empty text. It is cut to the picture's column.
        headings: A line above each column. Defaults to none.
        font_size: Height of the letters in pixels.

    Returns:
        An RGB picture.

    Example:

    >>> from PIL import Image
    >>> from eseg_keras.visualization.sheet import sheet
    >>> photo = Image.new("RGB", (64, 32))
    >>> sheet([[photo, photo], [photo]], [["a", "b"], ["c"]]).size
    (152, 132)
    """
    texts = [*headings, *(caption for row in captions for caption in row)]
    font, line = font_for(texts, font_size), round(1.7 * font_size)
    columns = max(len(headings), *(len(row) for row in rows))
    width = max(picture.width for row in rows for picture in row)
    heights = [
        max(picture.height for picture in row) + (line if any(below) else 0)
        for row, below in zip(rows, captions, strict=True)
    ]
    top = _GAP + (line if headings else 0)
    size = (_GAP + columns * (width + _GAP), top + sum(heights) + _GAP * len(rows))
    result = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(result)

    def write(text, column, y):
        x = _GAP + column * (width + _GAP) + width / 2
        draw.text((x, y + line / 2), shorten(text, font, width), INK, font, anchor="mm")

    for column, heading in enumerate(headings):
        write(heading, column, _GAP // 2)
    for row, below, height in zip(rows, captions, heights, strict=True):
        room = height - (line if any(below) else 0)
        for column, (picture, caption) in enumerate(zip(row, below, strict=True)):
            x = _GAP + column * (width + _GAP) + (width - picture.width) // 2
            result.paste(picture, (x, top + (room - picture.height) // 2))
            write(caption, column, top + room)
        top += height + _GAP
    return result
