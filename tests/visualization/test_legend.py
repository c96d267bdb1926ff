import numpy as np
import pytest
from PIL import Image

from eseg_keras.visualization import add_legend

COLORS = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]


def test_the_picture_is_unchanged_and_every_colour_shown_below_it():
    picture = Image.effect_noise((300, 100), 50).convert("RGB")
    result = np.asarray(add_legend(picture, ["road", "sky", "building"], COLORS))
    np.testing.assert_array_equal(result[:100], np.asarray(picture))
    strip = result[100:].reshape(-1, 3)
    for color in COLORS:
        assert (strip == color).all(-1).sum() > 50


def test_names_wrap_instead_of_leaving_the_picture():
    picture = Image.new("RGB", (120, 100))
    names = ["traffic light", "traffic sign", "vegetation"]
    narrow = np.asarray(add_legend(picture, names, COLORS, font_size=12))
    wide = add_legend(Image.new("RGB", (1200, 100)), names, COLORS, font_size=12)
    assert narrow.shape[1] == 120
    assert narrow.shape[0] > wide.height
    for color in COLORS:
        rows, columns = np.nonzero((narrow[100:] == color).all(-1))
        assert columns.max() < 119 and rows.max() < narrow.shape[0] - 101


def ink(picture, top):
    """Return the columns with dark pixels below the row `top`."""
    return np.nonzero((np.asarray(picture)[top:] < 200).all(-1).any(0))[0]


@pytest.mark.parametrize("name", ["a rather long name of a class", "x" * 200])
def test_a_long_name_is_not_cut_off(name):
    picture = add_legend(Image.new("RGB", (150, 60), "white"), [name], [(255, 255, 255)])
    columns = ink(picture, 60)
    assert picture.width == 150
    # The name is smaller or shortened to fit: it ends near the right margin, not beyond it.
    assert 110 < columns.max() < 148


def test_letters_become_smaller_before_a_name_loses_its_middle():
    picture = Image.new("RGB", (150, 60))
    arguments = picture, ["a rather long name of a class"], [(9, 9, 9)]
    result = add_legend(*arguments)
    # The height is that of a legend with a font size that fits, below the default of 12.
    heights = {size: add_legend(*arguments, font_size=size).height for size in (8, 9, 10)}
    assert result.height in heights.values() and result.height < 60 + 19 + 6


@pytest.mark.parametrize("width", range(60, 300, 7))
def test_nothing_runs_over_the_right_edge(width):
    picture = Image.new("RGB", (width, 40), "white")
    names = ["traffic light", "sky", "vegetation", "a pole"]
    colors = [(255, 255, 255)] * 4
    assert ink(add_legend(picture, names, colors, font_size=12), 40).max() < width - 1


def test_a_name_that_fits_is_not_made_smaller():
    long = add_legend(Image.new("RGB", (400, 100)), ["vegetation"], COLORS[:1], font_size=20)
    short = add_legend(Image.new("RGB", (400, 100)), ["sky"], COLORS[:1], font_size=20)
    assert long.height == short.height


def test_pixels_without_a_class_are_striped():
    picture = add_legend(Image.new("RGB", (200, 40)), ["ignored"], [None], font_size=16)
    swatch = np.asarray(picture)[49:63, 9:23]
    values, counts = np.unique(swatch.reshape(-1, 3), axis=0, return_counts=True)
    assert values.tolist() == [[150] * 3, [240] * 3]
    assert counts[0] / counts.sum() == pytest.approx(1 / 3, abs=0.05)


def test_nothing_to_name():
    assert add_legend(Image.new("RGB", (64, 32)), [], []).size == (64, 32)


def test_names_and_colours_go_together():
    with pytest.raises(ValueError, match="one color per name"):
        add_legend(Image.new("RGB", (64, 32)), ["road"], COLORS)
