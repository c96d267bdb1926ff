import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eseg_keras.visualization import default_palette, label_grid
from eseg_keras.visualization.grids import WRONG

PALETTE = [(200, 0, 0), (0, 0, 200)]
STRIPES = {(240, 240, 240), (150, 150, 150)}


def cells(picture, count, size, row=0, height=None):
    """Return the images in a row of cells of `size` pixels below headings."""
    height = height or size
    top = 8 + 22 + row * (height + 8)
    pixels = np.asarray(picture)
    return [
        pixels[top : top + height, 8 + i * (size + 8) : 8 + i * (size + 8) + size]
        for i in range(count)
    ]


def colors(pixels):
    return {tuple(color) for color in pixels.reshape(-1, 3).tolist()}


def test_the_four_columns():
    image = np.full((40, 40, 3), 90, "uint8")
    mask = np.zeros((40, 40), "uint8")
    mask[:, 20:] = 1
    mask[:10] = 255
    prediction = np.zeros((40, 40), "uint8")
    prediction[30:] = 1
    grid = label_grid([image], [mask], [prediction], palette=PALETTE, cell_size=80, legend=False)
    photo, annotated, predicted, errors = cells(grid, 4, 80)
    assert (photo == 90).all()
    assert colors(annotated[:20]) == STRIPES
    assert colors(annotated[20:, :40]) == {PALETTE[0]}
    assert colors(annotated[20:, 40:]) == {PALETTE[1]}
    assert colors(predicted[:60]) == {PALETTE[0]} and colors(predicted[60:]) == {PALETTE[1]}
    assert colors(errors[:20]) == STRIPES
    assert colors(errors[20:60, 40:]) == colors(errors[60:, :40]) == {WRONG}
    # Correct pixels are pale grey.
    (pale,) = colors(errors[20:60, :40]) | colors(errors[60:, 40:])
    assert len(set(pale)) == 1 and pale[0] > 150


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_cells_equal_a_loop_over_pixels(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (32, 32, 3), dtype="uint8")
    mask, prediction = rng.choice([0, 1, 7], (2, 32, 32)).astype("uint8")
    grid = label_grid(
        [image], [mask], [prediction], palette=PALETTE, ignore_label=1, cell_size=32, legend=False
    )
    _, *shown, errors = cells(grid, 4, 32)
    table = default_palette(256)
    for y in range(32):
        for x in range(32):
            for labels, cell in zip((mask, prediction), shown, strict=True):
                expected = {0: {PALETTE[0]}, 1: STRIPES, 7: {table[7]}}[int(labels[y, x])]
                assert tuple(cell[y, x].tolist()) in expected
            color = tuple(errors[y, x].tolist())
            if mask[y, x] == 1:
                assert color in STRIPES
            else:
                assert (color == WRONG) == (mask[y, x] != prediction[y, x])


def test_images_of_other_sizes_share_one_grid():
    sizes = [(20, 40), (40, 20), (100, 100), (1, 300)]
    images = [np.zeros((*size, 3), "uint8") for size in sizes]
    masks = [np.zeros(size, "uint8") for size in sizes]
    grid = label_grid(images, masks, cell_size=64, legend=False)
    assert grid.width == 8 + 2 * (64 + 8)
    assert grid.height == 8 + 22 + (32 + 64 + 64 + 1) + 4 * 8
    alone = label_grid(images, cell_size=64)
    assert alone.width == 8 + 64 + 8


def test_the_legend_names_what_occurs():
    image, mask = np.zeros((32, 64, 3), "uint8"), np.ones((32, 64), "uint8")
    options = {"class_names": ["road", "sky"], "palette": PALETTE, "cell_size": 200}
    plain = np.asarray(label_grid([image], [mask], legend=False, **options))
    named = np.asarray(label_grid([image], [mask], **options))
    strip = named[plain.shape[0] :]
    np.testing.assert_array_equal(named[: plain.shape[0]], plain)
    assert PALETTE[1] in colors(strip) and PALETTE[0] not in colors(strip)
    mask[0] = 255
    strip = np.asarray(label_grid([image], [mask], [mask], **options))[plain.shape[0] :]
    assert {WRONG, *STRIPES} <= colors(strip)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([], []), "at least one image"),
        (([np.zeros((4, 4, 3), "uint8")], []), "1 images, 0 for Mask"),
        (([np.zeros((4, 4, 3), "uint8")], None, [np.zeros((4, 5), "uint8")]), "Prediction .4, 5."),
    ],
)
def test_grids_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        label_grid(*arguments)


def test_names_stand_below_the_images():
    image = np.zeros((32, 64, 3), "uint8")
    plain = label_grid([image], cell_size=100)
    named = label_grid([image], names=["scenes/0001.png"], cell_size=100)
    assert named.width == plain.width and named.height == plain.height + 22
