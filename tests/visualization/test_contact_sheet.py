import numpy as np
import pytest

from eseg_keras.visualization import overlay
from eseg_keras.visualization.grids import contact_sheet

PALETTE = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
NAMES = ["road", "sky", "car"]


def test_tiles_are_overlays_with_stripes_where_nothing_is_labelled():
    image = np.full((160, 320, 3), 100, "uint8")
    mask = np.zeros((160, 320), "uint8")
    mask[:, 160:] = 2
    mask[:50] = 255
    sheet = np.asarray(contact_sheet([("a.png", image, mask)], NAMES, PALETTE))
    tile = sheet[8:168, 8:328]
    np.testing.assert_array_equal(tile[50:], np.asarray(overlay(image, mask, PALETTE))[50:])
    assert sorted(np.unique(tile[:50]).tolist()) == [125, 170]
    legend = {tuple(color) for color in sheet[200:].reshape(-1, 3).tolist()}
    assert PALETTE[0] in legend and PALETTE[2] in legend and PALETTE[1] not in legend
    assert (240, 240, 240) in legend


@pytest.mark.parametrize("count, columns, rows", [(1, 1, 1), (3, 3, 1), (4, 4, 1), (9, 4, 3)])
def test_the_sheet_grows_in_rows_of_four(count, columns, rows):
    image, mask = np.zeros((320, 320, 3), "uint8"), np.zeros((320, 320), "uint8")
    sheet = contact_sheet([("x", image, mask)] * count, ["road"])
    assert sheet.width == 8 + columns * 328
    assert 8 + rows * 350 < sheet.height < 8 + rows * 350 + 50


def test_nothing_to_show():
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([], NAMES)
