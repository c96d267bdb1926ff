import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eseg_keras.data import Augmentation
from eseg_keras.data.photometric_distortion import PhotometricDistortion

sizes = st.tuples(st.integers(1, 48), st.integers(1, 48))
scales = st.tuples(st.floats(0.2, 3), st.floats(0.2, 3)).map(sorted).map(tuple)


def blocks(size, seed):
    """Return an image and mask of constant 8×8 blocks; the image is 40 times the label."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 6, [-(-side // 8) for side in size], dtype=np.uint8)
    mask = np.kron(coarse, np.ones((8, 8), np.uint8))[: size[0], : size[1]]
    return np.repeat(mask[..., None] * 40, 3, axis=-1), mask


@given(sizes, sizes, scales, st.booleans(), st.integers(0, 2**32))
def test_size_dtype_labels_and_repeatability(size, image_size, scale, flip, seed):
    image, mask = blocks(size, seed)
    before = image.copy(), mask.copy()
    augmentation = Augmentation(flip=flip, scale=scale)
    new_image, new_mask = augmentation(image, mask, image_size, np.random.default_rng(seed))
    assert new_image.shape == (*image_size, 3) and new_image.dtype == np.uint8
    assert new_mask.shape == image_size and new_mask.dtype == np.uint8
    assert set(np.unique(new_mask)) <= {*np.unique(mask).tolist(), 255}
    again = augmentation(image, mask, image_size, np.random.default_rng(seed))
    np.testing.assert_array_equal(new_image, again[0])
    np.testing.assert_array_equal(new_mask, again[1])
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])


@given(st.integers(0, 2**32))
def test_image_and_mask_move_together(seed):
    image, mask = blocks((64, 80), seed)
    augmentation = Augmentation(fill=(250.0, 250.0, 250.0))
    image, mask = augmentation(image, mask, (48, 56), np.random.default_rng(seed))
    # Except near edges between labels, where the image is interpolated, each pixel of the image
    # still encodes its label; padding has its own value in image and mask.
    inside = np.zeros(mask.shape, bool)
    middle = mask[2:-2, 2:-2]
    inside[2:-2, 2:-2] = True
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            shifted = mask[2 + dy : mask.shape[0] - 2 + dy, 2 + dx : mask.shape[1] - 2 + dx]
            inside[2:-2, 2:-2] &= shifted == middle
    expected = np.where(mask == 255, 250, mask.astype(int) * 40)
    assert inside.any()
    np.testing.assert_array_equal(image[inside], np.repeat(expected[inside][:, None], 3, axis=1))


def test_flips_both_half_of_the_time():
    image, mask = blocks((16, 24), 0)
    image[3, 5], mask[3, 5] = 7, 9
    augmentation = Augmentation(scale=(1, 1))
    flipped = 0
    for seed in range(100):
        new_image, new_mask = augmentation(image, mask, (16, 24), np.random.default_rng(seed))
        if (new_mask == mask).all():
            np.testing.assert_array_equal(new_image, image)
        else:
            flipped += 1
            np.testing.assert_array_equal(new_mask, mask[:, ::-1])
            np.testing.assert_array_equal(new_image, image[:, ::-1])
    assert 30 < flipped < 70


def test_without_flip_nothing_is_mirrored():
    image, mask = blocks((16, 24), 0)
    for seed in range(20):
        augmentation = Augmentation(flip=False, scale=(1, 1))
        _, new_mask = augmentation(image, mask, (16, 24), np.random.default_rng(seed))
        np.testing.assert_array_equal(new_mask, mask)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_scale_is_relative_to_the_photo(scale):
    mask = np.zeros((100, 100), np.uint8)
    mask[40:60, 40:60] = 1
    image = np.repeat(mask[..., None], 3, axis=-1)
    _, mask = Augmentation(scale=(scale, scale))(image, mask, (220, 220), np.random.default_rng(0))
    assert (mask == 1).sum() == (20 * scale) ** 2
    assert (mask != 255).sum() == (100 * scale) ** 2


def test_scales_and_crops_cover_their_range():
    mask = np.tile(np.arange(100, dtype=np.uint8), (100, 1))
    image = np.repeat(mask[..., None], 3, axis=-1)
    augmentation = Augmentation(flip=False, ignore_label=200)
    results = [
        augmentation(image, mask, (50, 50), np.random.default_rng(seed))[1] for seed in range(200)
    ]
    corners = np.array([mask[0, 0] for mask in results])
    assert corners.min() < 5 and corners.max() > 65  # from 0 to (200 - 50) / 2, at scale 2
    widths = np.array([np.ptp(mask[25]) + 1 for mask in results])
    assert widths.min() < 29 and widths.max() > 95  # from scale 2 to scale 0.5


@pytest.mark.parametrize("scale", [(0, 1), (2, 1), (-1, 1)])
def test_bad_scale_is_refused(scale):
    with pytest.raises(ValueError, match="scale="):
        Augmentation(scale=scale)


def test_is_frozen_and_takes_no_unknown_argument():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Augmentation().flip = False
    with pytest.raises(TypeError):
        Augmentation(rotate=True)


@given(sizes, sizes, scales, st.booleans(), st.integers(0, 2**32))
def test_colours_leave_mask_and_place_alone(size, image_size, scale, flip, seed):
    image, mask = blocks(size, seed)
    options = {"flip": flip, "scale": scale}
    plain = Augmentation(**options)(image, mask, image_size, np.random.default_rng(seed))
    colored = Augmentation(**options, photometric_distortion=True)
    image, mask = colored(image, mask, image_size, np.random.default_rng(seed))
    np.testing.assert_array_equal(mask, plain[1])
    # A distortion of strength zero gives the plain crop, because the distortion draws its random
    # numbers after those of the crop.
    nothing = PhotometricDistortion(brightness=0, contrast=(1, 1), saturation=(1, 1), hue=0)
    weak = dataclasses.replace(colored, photometric_distortion=nothing)
    again = weak(*blocks(size, seed), image_size, np.random.default_rng(seed))
    np.testing.assert_array_equal(again[0], plain[0])
    assert image.shape == plain[0].shape and image.dtype == np.uint8


@given(
    st.tuples(st.integers(2, 250), st.integers(2, 250)),
    sizes,
    scales,
    st.booleans(),
    st.integers(0, 2**32),
)
def test_every_pixel_comes_from_where_its_label_does(size, image_size, scale, flip, seed):
    # The image encodes each pixel's row and column in two channels. One mask encodes the row,
    # another the column; both are cropped with the same seed.
    rows, columns = np.indices(size)
    image = np.stack([rows, columns], axis=-1).astype(np.float32)
    augmentation = Augmentation(flip=flip, scale=scale, fill=(-1.0, -1.0))
    cuts = [
        augmentation(image, place.astype(np.uint8), image_size, np.random.default_rng(seed))
        for place in (rows, columns)
    ]
    np.testing.assert_array_equal(cuts[0][0], cuts[1][0])
    outside = cuts[0][1] == 255
    np.testing.assert_array_equal(outside, cuts[1][1] == 255)
    assert (cuts[0][0][outside] == -1).all()
    # The nearest pixel is up to half a pixel away, and antialiasing is asymmetric at image borders.
    for axis, place in enumerate((cuts[0][1], cuts[1][1])):
        ratio = size[axis] / max(1, np.floor(size[axis] * scale[0] + 0.5))
        error = np.abs(cuts[0][0][..., axis] - place)[~outside]
        assert error.max(initial=0) <= 0.51 + ratio / 2


def test_distortion_is_given_as_true_or_itself():
    assert Augmentation().photometric_distortion is None
    assert Augmentation(photometric_distortion=False) == Augmentation()
    strong = PhotometricDistortion(hue=90)
    assert Augmentation(photometric_distortion=strong).photometric_distortion is strong
    assert Augmentation(photometric_distortion=True) == Augmentation(
        photometric_distortion=PhotometricDistortion()
    )


class Inverted:
    """A transform with Albumentations' interface: adds a random number, inverts the mask."""

    def set_random_seed(self, seed):
        self.rng = np.random.default_rng(seed)

    def __call__(self, image, mask):
        assert image.flags.c_contiguous and mask.flags.c_contiguous
        return {"image": image + self.rng.integers(1, 99, dtype="uint8"), "mask": 1 - mask}


def test_a_transform_changes_the_crop_and_repeats():
    image, mask = np.zeros((40, 60, 3), "uint8"), np.zeros((40, 60), "uint8")
    plain = Augmentation(scale=(1, 1))(image, mask, (32, 32), np.random.default_rng(3))
    augmentation = Augmentation(scale=(1, 1), transform=Inverted())
    results = [augmentation(image, mask, (32, 32), np.random.default_rng(n)) for n in (3, 3, 4)]
    for a, b in zip(*results[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    assert results[0][0].max() > 0 and results[0][0][0, 0, 0] != results[2][0][0, 0, 0]
    np.testing.assert_array_equal(results[0][1], 1 - plain[1])


def test_a_transform_keeps_the_size():
    image, mask = np.zeros((40, 60, 3), "uint8"), np.zeros((40, 60), "uint8")
    half = Augmentation(transform=lambda image, mask: {"image": image[::2], "mask": mask})
    with pytest.raises(ValueError, match=r"keep the image's shape.*Received: uint8 \[16, 32, 3\]"):
        half(image, mask, (32, 32), np.random.default_rng(0))


def test_a_transform_of_albumentations():
    albumentations = pytest.importorskip("albumentations")
    transform = albumentations.Compose(
        [albumentations.RandomBrightnessContrast(p=1), albumentations.CoarseDropout(p=1)]
    )
    augmentation = Augmentation(transform=transform)
    rng = np.random.default_rng(0)
    image, mask = rng.integers(0, 256, (40, 60, 3), "uint8"), np.ones((40, 60), "uint8")
    first, second, other = (
        augmentation(image, mask, (32, 32), np.random.default_rng(n)) for n in (1, 1, 2)
    )
    np.testing.assert_array_equal(first[0], second[0])
    assert (first[0] != other[0]).any() and set(np.unique(first[1])) <= {1, 255}


@pytest.mark.parametrize("seed", range(20))
def test_scales_in_steps_are_of_the_grid(seed):
    # The width of the image in the crop shows the scale.
    image, mask = np.zeros((10, 100, 3), np.uint8), np.zeros((10, 100), np.uint8)
    augmentation = Augmentation(flip=False, scale=(0.5, 2.0), scale_step=0.1, place_at_random=False)
    _, mask = augmentation(image, mask, (40, 400), np.random.default_rng(seed))
    width = int((mask[0] == 0).sum())
    assert width in range(50, 201, 10)


def test_steps_reach_both_ends():
    augmentation = Augmentation(scale=(0.5, 2.0), scale_step=0.1)
    rng = np.random.default_rng(0)
    scales = {round(augmentation._draw_scale(rng), 6) for _ in range(400)}
    assert scales == {round(0.5 + 0.1 * step, 6) for step in range(16)}


def test_small_images_at_the_top_left_in_black():
    image, mask = np.full((8, 8, 3), 200, np.uint8), np.zeros((8, 8), np.uint8)
    augmentation = Augmentation(flip=False, scale=(1, 1), fill=(0, 0, 0), place_at_random=False)
    image, mask = augmentation(image, mask, (16, 24), np.random.default_rng(0))
    assert (image[:8, :8] == 200).all() and not image[8:].any() and not image[:, 8:].any()
    assert (mask[:8, :8] == 0).all() and (mask[8:] == 255).all() and (mask[:, 8:] == 255).all()


def test_steps_have_a_size():
    with pytest.raises(ValueError, match="scale_step=0"):
        Augmentation(scale_step=0)
