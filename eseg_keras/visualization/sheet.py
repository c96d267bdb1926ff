"""Arrange images in rows and columns of one image."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from eseg_keras.visualization.texts import INK, PAPER, font_for, printable, shorten

_GAP = 8
_FONT_SIZE = 13


def fit(image: Image.Image, longer_side: int, resample: Image.Resampling) -> Image.Image:
    """Scale an image, up or down, so that its longer side has `longer_side` pixels."""
    scale = longer_side / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    return image.resize(size, resample)


def sheet(
    rows: Sequence[Sequence[Image.Image]],
    captions: Sequence[Sequence[str]],
    headings: Sequence[str] = (),
) -> Image.Image:
    """Arrange images in rows and columns, with a caption (may be empty) below each image.

    All columns are as wide as the widest image; a row is as high as its highest image. Smaller
    images are centred. Rows may differ in length. Captions and headings (above the columns) are
    shortened to the column width.
    """
    headings = [printable(heading) for heading in headings]
    captions = [[printable(caption) for caption in row] for row in captions]
    texts = [*headings, *(caption for row in captions for caption in row)]
    font, line = font_for(texts, _FONT_SIZE), round(1.7 * _FONT_SIZE)
    columns = max(len(headings), *(len(row) for row in rows))
    width = max(image.width for row in rows for image in row)
    heights = [
        max(image.height for image in row) + (line if any(below) else 0)
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
        for column, (image, caption) in enumerate(zip(row, below, strict=True)):
            x = _GAP + column * (width + _GAP) + (width - image.width) // 2
            result.paste(image, (x, top + (room - image.height) // 2))
            write(caption, column, top + room)
        top += height + _GAP
    return result
