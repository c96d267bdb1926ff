"""Images in rows and columns, as one image."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from eseg_keras.visualization.texts import INK, PAPER, font_for, shorten

_GAP = 8


def fit(picture: Image.Image, longer_side: int, resample: Image.Resampling) -> Image.Image:
    """Scale an image, up or down, to a length of its longer side in pixels."""
    scale = longer_side / max(picture.size)
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    return picture.resize(size, resample)


def sheet(
    rows: Sequence[Sequence[Image.Image]],
    captions: Sequence[Sequence[str]],
    headings: Sequence[str] = (),
    font_size: int = 13,
) -> Image.Image:
    """Arrange images in rows and columns, a caption or an empty text below each.

    Columns are as wide as the widest image and rows as high as their highest; smaller images are
    centred. Rows may differ in length. Captions are shortened to their column; headings stand above
    the columns, letters are `font_size` pixels high.
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
