import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from eseg_keras.visualization.grids import fit, sheet

SIZES = st.tuples(st.integers(1, 60), st.integers(1, 60))


@given(SIZES, st.integers(1, 200))
def test_fit_scales_the_longer_side_and_keeps_the_shape(size, side):
    width, height = fit(Image.new("L", size), side, Image.Resampling.NEAREST).size
    assert max(width, height) == side and min(width, height) >= 1
    assert abs(width * size[1] - height * size[0]) <= max(size) or min(width, height) == 1


@given(st.lists(st.lists(SIZES, min_size=1, max_size=3), min_size=1, max_size=3))
def test_every_picture_is_whole_and_in_its_column(rows):
    colors = iter(range(1, 200))
    pictures = [[Image.new("RGB", size, (next(colors), 0, 0)) for size in row] for row in rows]
    captions = [[""] * len(row) for row in rows]
    result = np.asarray(sheet(pictures, captions))
    widest = max(size[0] for row in rows for size in row)
    columns = max(map(len, rows))
    assert result.shape[1] == 8 + columns * (widest + 8)
    tops = []
    for row in pictures:
        for column, picture in enumerate(row):
            color = picture.getpixel((0, 0))
            ys, xs = np.nonzero((result == color).all(-1))
            # The image has its original size and is centred in its column.
            assert (np.ptp(xs) + 1, np.ptp(ys) + 1) == picture.size
            assert len(xs) == picture.width * picture.height
            left = 8 + column * (widest + 8)
            assert xs.min() == left + (widest - picture.width) // 2
            tops.append(ys.min())
    assert max(tops) < result.shape[0]


def test_headings_and_captions_take_room_and_stay_in_their_column():
    tile = Image.new("RGB", (50, 30), "white")
    plain = sheet([[tile, tile]], [["", ""]])
    written = sheet([[tile, tile]], [["", "a very long caption indeed"]], ["Image", "Mask"])
    assert written.width == plain.width
    assert written.height > plain.height + 20
    dark = (np.asarray(written.convert("L")) < 128).any(0)
    assert not dark[:8].any() and not dark[58:66].any() and not dark[116:].any()
    assert dark[8:58].any() and dark[66:116].any()


def test_a_caption_for_each_picture():
    with pytest.raises(ValueError):
        sheet([[Image.new("RGB", (5, 5))]], [["a", "b"]])
