import numpy as np
import pytest
from PIL import Image

from eseg_keras.inference import add_legend

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


def test_nothing_to_name():
    assert add_legend(Image.new("RGB", (64, 32)), [], []).size == (64, 32)


def test_names_and_colours_go_together():
    with pytest.raises(ValueError, match="one color a name"):
        add_legend(Image.new("RGB", (64, 32)), ["road"], COLORS)
