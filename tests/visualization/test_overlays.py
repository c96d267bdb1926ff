import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from eseg_keras.visualization import default_palette, label_image, overlay

# The colours of the ids 0 to 20 in the Pascal VOC development kit.
VOC = (
    "0 0 0, 128 0 0, 0 128 0, 128 128 0, 0 0 128, 128 0 128, 0 128 128, 128 128 128, 64 0 0, "
    "192 0 0, 64 128 0, 192 128 0, 64 0 128, 192 0 128, 64 128 128, 192 128 128, 0 64 0, "
    "128 64 0, 0 192 0, 128 192 0, 0 64 128"
)


def test_default_palette_is_that_of_pascal_voc():
    expected = tuple(tuple(map(int, color.split())) for color in VOC.split(", "))
    assert default_palette(21) == expected
    assert default_palette(256)[255] == (224, 224, 192)
    assert len(set(default_palette(256))) == 256


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_overlay_equals_a_loop_over_pixels(seed, alpha):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (3, 4, 3), dtype="uint8")
    labels = rng.choice([0, 1, 2, 200, 255], (3, 4))
    palette = rng.integers(0, 256, (3, 3)).tolist()
    picture = overlay(image, labels, palette, alpha)
    assert picture.mode == "RGB" and picture.size == (4, 3)
    result = np.asarray(picture)
    for y in range(3):
        for x in range(4):
            expected = image[y, x].astype(float)
            if labels[y, x] < 3:
                expected = (1 - alpha) * expected + alpha * np.array(palette[labels[y, x]])
            assert np.abs(result[y, x] - expected).max() <= 0.5001


def test_labels_below_zero_have_no_colour():
    image = np.full((1, 3, 3), 50, "uint8")
    result = np.asarray(overlay(image, np.array([[-2, 0, 1]]), [(0, 0, 0)], alpha=1))
    assert result[0, :, 0].tolist() == [50, 0, 50]


def test_overlay_leaves_its_arguments_alone():
    image, labels = np.full((2, 2, 3), 9, "uint8"), np.ones((2, 2), "uint8")
    overlay(image, labels)
    assert (image == 9).all() and (labels == 1).all()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((np.zeros((2, 2, 3)), np.zeros((2, 2), int)), "uint8"),
        ((np.zeros((2, 2, 1), "uint8"), np.zeros((2, 2), int)), "uint8"),
        ((np.zeros((2, 3, 3), "uint8"), np.zeros((3, 2), int)), "the same size"),
        ((np.zeros((2, 2, 3), "uint8"), np.zeros((2, 2), int), None, 1.5), "alpha=1.5"),
    ],
)
def test_overlay_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        overlay(*arguments)


def test_label_image_keeps_labels_and_colours_in_a_file():
    labels = np.arange(256, dtype="uint8").reshape(16, 16)
    file = io.BytesIO()
    label_image(labels, palette=[(1, 2, 3), (4, 5, 6)]).save(file, "PNG")
    picture = Image.open(file)
    np.testing.assert_array_equal(np.asarray(picture), labels)
    colors = np.asarray(picture.convert("RGB")).reshape(256, 3)
    assert colors[:2].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert colors[2:].tolist() == [list(color) for color in default_palette(256)[2:]]
