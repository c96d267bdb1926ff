import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eseg_keras.data.geometry import fit_window, resize_long_side, resize_window

sides = st.integers(1, 40)


def nearest(mask, size):
    """Resize by nearest neighbour with half-pixel centres, pixel by pixel."""
    return np.array(
        [
            [
                mask[
                    int((y + 0.5) * mask.shape[0] / size[0]),
                    int((x + 0.5) * mask.shape[1] / size[1]),
                ]
                for x in range(size[1])
            ]
            for y in range(size[0])
        ],
        mask.dtype,
    )


def unambiguous(size, scaled_size):
    """Return where the nearest pixel of the source is unique, bool [H, W].

    It is not unique for centres on the border of two pixels.
    """
    ys = (np.arange(scaled_size[0]) + 0.5) * size[0] / scaled_size[0]
    xs = (np.arange(scaled_size[1]) + 0.5) * size[1] / scaled_size[1]
    return np.outer(np.abs(ys - np.round(ys)) > 1e-6, np.abs(xs - np.round(xs)) > 1e-6)


def bilinear_upsampling(image, size):
    """Upsample bilinearly with half-pixel centres, in NumPy."""
    ys = (np.arange(size[0]) + 0.5) * image.shape[0] / size[0] - 0.5
    xs = (np.arange(size[1]) + 0.5) * image.shape[1] / size[1] - 0.5
    rows = np.stack([np.interp(ys, np.arange(len(column)), column) for column in image.T], 1)
    return np.stack([np.interp(xs, np.arange(len(row)), row) for row in rows])


def random_example(rng, size, channels=3):
    image = rng.integers(0, 256, (*size, channels), dtype=np.uint8)
    return image, rng.integers(0, 20, size, dtype=np.uint8)


@given(st.tuples(sides, sides), st.tuples(sides, sides), st.integers(0, 2**32))
def test_mask_is_resized_to_the_nearest_label(size, scaled_size, seed):
    image, mask = random_example(np.random.default_rng(seed), size)
    _, resized = resize_window(image, mask, scaled_size, (0, 0), scaled_size)
    clear = unambiguous(size, scaled_size)
    np.testing.assert_array_equal(resized[clear], nearest(mask, scaled_size)[clear])


@given(
    st.tuples(sides, sides),
    st.tuples(st.floats(1, 3), st.floats(1, 3)),
    st.integers(0, 2**32),
)
def test_image_is_enlarged_bilinearly(size, scale, seed):
    image, mask = random_example(np.random.default_rng(seed), size, channels=1)
    scaled_size = (int(size[0] * scale[0]), int(size[1] * scale[1]))
    resized, _ = resize_window(image.astype(np.float32), mask, scaled_size, (0, 0), scaled_size)
    reference = bilinear_upsampling(image[..., 0].astype(np.float64), scaled_size)
    np.testing.assert_allclose(resized[..., 0], reference, atol=0.02)


@given(
    size=st.tuples(sides, sides),
    scaled_size=st.tuples(sides, sides),
    window=st.tuples(sides, sides),
    places=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    seed=st.integers(0, 2**32),
)
# In this example, the window and the slice would differ by two as uint8 images, because the two are
# rounded differently.
@example(size=(20, 4), scaled_size=(15, 9), window=(14, 6), places=(0.5625, 0.5), seed=2566)
def test_window_is_a_slice_of_the_padded_whole(size, scaled_size, window, places, seed):
    image, mask = random_example(np.random.default_rng(seed), size)
    offset = tuple(
        round(1 - w + place * (s + w - 2))
        for w, s, place in zip(window, scaled_size, places, strict=True)
    )
    fill = (1.0, 2.0, 3.0)
    options = {"fill": fill, "ignore_label": 200}
    seen_image, seen_mask = resize_window(image, mask, scaled_size, offset, window, **options)
    exact = image.astype(np.float32)
    exact_image, _ = resize_window(exact, mask, scaled_size, offset, window, **options)
    whole_image, whole_mask = resize_window(exact, mask, scaled_size, (0, 0), scaled_size)
    around = [(w, w) for w in window]
    whole_mask = np.pad(whole_mask, around, constant_values=200)
    clear = np.pad(unambiguous(size, scaled_size), around, constant_values=True)
    whole_image = np.stack(
        [np.pad(whole_image[..., c], around, constant_values=fill[c]) for c in range(3)], -1
    )
    cut = tuple(slice(w + o, w + o + w) for w, o in zip(window, offset, strict=True))
    assert seen_image.shape == (*window, 3) and seen_image.dtype == np.uint8
    assert seen_mask.shape == window and seen_mask.dtype == np.uint8
    np.testing.assert_allclose(exact_image, whole_image[cut], rtol=0, atol=1e-3)
    # Pillow rounds uint8 images twice, after resizing each of the two axes.
    np.testing.assert_allclose(seen_image, exact_image, rtol=0, atol=1.01)
    np.testing.assert_array_equal(seen_mask[clear[cut]], whole_mask[cut][clear[cut]])
    if size == scaled_size:
        np.testing.assert_array_equal(seen_image, whole_image[cut])


@pytest.mark.parametrize("scale", [0.53, 0.77, 1.3, 1.9])
def test_image_and_mask_have_no_shift_between_them(scale):
    # Image and mask encode the column: they may differ by rounding, but not on average.
    mask = np.tile(np.arange(200, dtype=np.uint8), (8, 1))
    image = mask[..., None].astype(np.float32)
    side = round(200 * scale)
    image, mask = resize_window(image, mask, (8, side), (0, 7), (8, side - 14))
    difference = (image[..., 0] - mask)[:, 5:-5]
    assert np.abs(difference).max() <= 0.51
    assert abs(difference.mean()) < 0.05


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 13])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_any_number_of_channels(channels, dtype):
    rng = np.random.default_rng(0)
    image, mask = random_example(rng, (20, 30), channels)
    resized, _ = resize_window(image.astype(dtype), mask, (31, 17), (-2, 3), (33, 10))
    assert resized.shape == (33, 10, channels) and resized.dtype == dtype
    for channel in range(channels):
        alone, _ = resize_window(
            image[..., channel : channel + 1].astype(dtype), mask, (31, 17), (-2, 3), (33, 10)
        )
        np.testing.assert_array_equal(resized[..., channel], alone[..., 0])


def test_fills_with_the_mean_of_the_photo():
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2] = (200, 100, 11)
    filled, _ = resize_window(image, np.zeros((4, 4), np.uint8), (4, 4), (0, -1), (4, 5))
    np.testing.assert_array_equal(filled[0, 0], [100, 50, 6])


def test_window_beside_the_photo_is_an_error():
    image, mask = random_example(np.random.default_rng(0), (4, 4))
    with pytest.raises(ValueError, match="offset=4"):
        resize_window(image, mask, (4, 4), (4, 0), (2, 2))


def test_fit_window_keeps_an_example_of_that_size():
    image, mask = random_example(np.random.default_rng(0), (12, 20))
    fitted = fit_window(image, mask, (12, 20))
    np.testing.assert_array_equal(fitted[0], image)
    np.testing.assert_array_equal(fitted[1], mask)


def test_fit_window_shows_the_whole_photo():
    image, mask = random_example(np.random.default_rng(0), (10, 40))
    mask[:] = np.arange(40)
    _, fitted = fit_window(image, mask, (20, 20), ignore_label=99)
    np.testing.assert_array_equal(fitted[:5], np.tile(np.arange(1, 40, 2), (5, 1)))
    assert (fitted[5:] == 99).all()


@pytest.mark.parametrize("size, expected", [((30, 60), (20, 40)), ((60, 30), (40, 20))])
def test_resize_long_side(size, expected):
    image, mask = random_example(np.random.default_rng(0), size)
    image, mask = resize_long_side(image, mask, 40)
    assert image.shape == (*expected, 3) and mask.shape == expected
