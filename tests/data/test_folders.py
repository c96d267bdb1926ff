import re
import unicodedata

import keras
import numpy as np
import pytest
from PIL import Image

from eseg_keras.data import (
    FolderError,
    FolderExamples,
    ImageFileError,
    MaskReader,
    from_folders,
)
from eseg_keras.data.folder_examples import open_folders

SIZE = (40, 56)


def photo(seed, size=SIZE):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def labels(seed, size=SIZE, values=(0, 1, 2, 255)):
    return np.random.default_rng([seed, 1]).choice(values, size).astype(np.uint8)


class Folders:
    """Folders of images and masks, with methods to fill and to load them."""

    def __init__(self, root):
        self.images, self.masks = root / "images", root / "masks"
        self.images.mkdir()
        self.masks.mkdir()

    def add_photo(self, name, array):
        path = self.images / name
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(array).save(path, **({"lossless": True} if "webp" in name else {}))

    def add_mask(self, name, array):
        path = self.masks / name
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(array).save(path)

    def add(self, name, seed=0, suffix=".png", **options):
        self.add_photo(f"{name}{suffix}", photo(seed))
        self.add_mask(f"{name}.png", labels(seed, **options))

    def dataset(self, **options):
        options = {"num_classes": 3, "batch_size": 2, "shuffle": False} | options
        return from_folders(self.images, self.masks, **options)

    def problems(self, **options):
        with pytest.raises(FolderError) as caught:
            self.dataset(**options)
        return caught.value


@pytest.fixture
def folders(tmp_path):
    return Folders(tmp_path)


def arrays(dataset):
    return [tuple(tensor.numpy() for tensor in batch) for batch in dataset]


def examples(dataset):
    return [example for batch in arrays(dataset) for example in zip(*batch, strict=True)]


def test_pairs_by_name_in_order_with_folders_inside(folders):
    names = ["b", "a", "street/ü b", "street/a 1", "street/deep/c.d"]
    suffixes = [".png", ".bmp", ".webp", ".PNG", ".Bmp"]
    for seed, (name, suffix) in enumerate(zip(names, suffixes, strict=True)):
        folders.add(name, seed, suffix)
    (folders.images / "Thumbs.db").write_bytes(b"no image")
    (folders.images / ".hidden.png").write_bytes(b"no image")
    (folders.masks / ".cache").mkdir()
    (folders.masks / ".cache" / "a.png").write_bytes(b"no image")
    found = examples(folders.dataset())
    assert len(found) == 5
    for name, (image, mask) in zip(sorted(names), found, strict=True):
        np.testing.assert_array_equal(image, photo(names.index(name)))
        np.testing.assert_array_equal(mask, labels(names.index(name)))


def test_jpeg_photos(folders):
    for index in range(3):
        folders.add_photo(f"{index}.jpg", np.full((*SIZE, 3), 60 * index, np.uint8))
        folders.add_mask(f"{index}.png", labels(index))
    for index, (image, mask) in enumerate(examples(folders.dataset())):
        assert np.abs(image.astype(int) - 60 * index).max() <= 1
        np.testing.assert_array_equal(mask, labels(index))


def test_mask_suffix(folders, tmp_path):
    for index in range(2):
        folders.add_photo(f"{index}.png", photo(index))
        folders.add_mask(f"{index}_labels.png", labels(index))
        folders.add_mask(f"{index}_color.png", photo(index))
        folders.add_photo(f"{index}_both.png", labels(index))
    found = examples(
        from_folders(
            folders.images, folders.images, num_classes=3, mask_suffix="_both", shuffle=False
        )
    )
    np.testing.assert_array_equal(found[1][1], labels(1))
    for index in range(2):
        (folders.images / f"{index}_both.png").unlink()
    assert len(examples(folders.dataset(mask_suffix="_labels"))) == 2


def test_shapes_are_static_for_photos_of_one_size(folders):
    for index in range(3):
        folders.add(f"{index}", index)
    assert folders.dataset().element_spec[0].shape == (None, *SIZE, 3)
    assert folders.dataset(check=False).element_spec[0].shape == (None, None, None, 3)
    assert folders.dataset(augment=True).element_spec[1].shape == (None, *SIZE)
    assert folders.dataset(augment=True, long_side=28).element_spec[1].shape == (None, 20, 28)
    assert folders.dataset(image_size=(32, 33)).element_spec[1].shape == (None, 32, 33)


def test_long_side(folders):
    folders.add("one")
    ((image, mask),) = examples(folders.dataset(long_side=28))
    assert image.shape == (20, 28, 3)
    np.testing.assert_array_equal(mask, labels(0)[1::2, 1::2])


def test_mixed_sizes(folders):
    folders.add("a")
    folders.add_photo("b.png", photo(1, (44, 33)))
    folders.add_mask("b.png", labels(1, (44, 33)))
    assert arrays(folders.dataset())[0][0].shape == (2, 44, 56, 3)
    for (image, mask), seed, size in zip(
        examples(folders.dataset(batch_size=1)), (0, 1), (SIZE, (44, 33)), strict=True
    ):
        np.testing.assert_array_equal(image, photo(seed, size))
        np.testing.assert_array_equal(mask, labels(seed, size))
    with pytest.raises(ValueError, match="image_size"):
        folders.dataset(augment=True)
    assert arrays(folders.dataset(augment=True, image_size=(24, 24)))[0][0].shape == (2, 24, 24, 3)


def test_exif_orientation(folders):
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = photo(0)
    Image.fromarray(np.rot90(upright)).save(folders.images / "one.png", exif=exif)
    folders.add_mask("one.png", labels(0))
    ((image, mask),) = examples(folders.dataset())
    np.testing.assert_array_equal(image, upright)
    np.testing.assert_array_equal(mask, labels(0))


def test_mask_drawn_on_a_photo_lying_on_its_side(folders):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo(0)).save(folders.images / "one.png", exif=exif)
    folders.add_mask("one.png", labels(0))
    ((problem, names),) = folders.problems().problems.items()
    assert "EXIF" in problem and "56×40 / mask 40×56" in names[0]


def test_every_offending_file_is_reported_at_once(folders):
    for index in range(30):
        folders.add(f"void {index:02}", index, values=(0, 1, 11))
    folders.add("fine")
    folders.add("small")
    folders.add_mask("small.png", labels(0, (40, 55)))
    folders.add("torn")
    for path in (folders.images / "torn.png", folders.masks / "torn.png"):
        path.write_bytes(path.read_bytes()[:-60])
    folders.add_photo("lossy.png", photo(1))
    Image.fromarray(labels(1)).save(folders.masks / "lossy.jpg")
    error = folders.problems(num_classes=11)
    found = {problem: [str(name) for name in names] for problem, names in error.problems.items()}
    (void,) = [names for problem, names in found.items() if "class_map={11:255}" in problem]
    assert void == [str(folders.masks / f"void {index:02}.png") for index in range(30)]
    (sizes,) = [names for problem, names in found.items() if "differ in size" in problem]
    assert len(sizes) == 1 and "small.png 40×56 / mask 40×55" in sizes[0]
    (torn,) = [names for problem, names in found.items() if "truncated" in problem]
    assert torn == [str(folders.images / "torn.png"), str(folders.masks / "torn.png")]
    (lossy,) = [names for problem, names in found.items() if "is a lossy" in problem]
    assert lossy == [str(folders.masks / "lossy.jpg")]
    assert len(found) == 4
    message = str(error)
    assert "30 files: has the label 11" in message and "num_classes=12" in message
    assert "void 19.png, and 10 more" in message and "void 20.png" not in message
    assert "2 files: cannot be read" in message and "1 file: image and mask differ" in message
    assert "fine" not in message


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a/{}_leftImg8bit", "a/{}_gtFine_labelIds"),
        ("{:03}_image", "{:03}_annotation"),
        ("img_{}", "mask_{}"),
        ("IMG_{}", "img_{}"),
    ],
)
def test_names_that_differ_the_same_way_pair(folders, caplog, image, mask):
    for index in (8, 9, 10, 11):
        folders.add_photo(f"{image.format(index)}.JPG.png", photo(index))
        folders.add_mask(f"{mask.format(index)}.JPG.png", labels(index))
    opened = open_folders(folders.images, folders.masks, num_classes=3)
    assert len(opened) == 4 and "pairs are like" in caplog.text
    for index in range(4):
        number = int(re.search(r"\d+", opened.images[index].name)[0])
        np.testing.assert_array_equal(opened.read(index)[1], labels(number))


def test_both_suffixes(folders):
    for index in range(2):
        folders.add_photo(f"{index}_leftImg8bit.png", photo(index))
        folders.add_mask(f"{index}_gtFine_labelIds.png", labels(index))
        folders.add_mask(f"{index}_gtFine_color.png", photo(index))
    options = {"mask_suffix": "_gtFine_labelIds", "image_suffix": "_leftImg8bit"}
    assert len(examples(folders.dataset(**options))) == 2


@pytest.mark.parametrize("suffix", ["mask_suffix", "image_suffix"])
def test_one_folder_of_images_and_masks_needs_a_suffix(folders, suffix):
    for index in range(2):
        folders.add_photo(f"{index}{'_x' * (suffix == 'image_suffix')}.png", photo(index))
        folders.add_photo(f"{index}{'_x' * (suffix == 'mask_suffix')}.png", labels(index))
    link = folders.images.parent / "link"
    link.symlink_to(folders.images)
    # Without a suffix, each file would be its own mask.
    with pytest.raises(FolderError, match="contains both images and masks: set mask_suffix"):
        open_folders(folders.images, link, num_classes=3)
    opened = open_folders(folders.images, link, num_classes=3, **{suffix: "_x"})
    for index in range(2):
        np.testing.assert_array_equal(opened.read(index)[0], photo(index))
        np.testing.assert_array_equal(opened.read(index)[1], labels(index))


def test_a_folder_of_masks_inside_the_folder_of_images(folders):
    folders.add_photo("one.png", photo(1))
    folders.add_photo("masks/one.png", labels(1))
    opened = open_folders(folders.images, folders.images / "masks", num_classes=3)
    assert opened.images == (folders.images / "one.png",)


@pytest.mark.parametrize("masks", [("b1", "b2", "b3"), ("a1", "a3"), ("a11", "a1")])
def test_names_that_do_not_correspond_are_not_guessed(folders, masks):
    for name in ("a1", "a2"):
        folders.add_photo(f"{name}.png", photo(0))
    for name in masks:
        folders.add_mask(f"{name}.png", labels(0))
    assert re.search("(mask|image) without an? (mask|image)", str(folders.problems()))


@pytest.mark.parametrize(
    "images, masks", [(("10", "11"), ("20", "21")), (("cat", "car"), ("bat", "bar"))]
)
def test_words_and_numbers_are_not_cut(folders, images, masks):
    for image, mask in zip(images, masks, strict=True):
        folders.add_photo(f"{image}.png", photo(0))
        folders.add_mask(f"{mask}.png", labels(0))
    assert len(next(iter(folders.problems().problems.values()))) == 2


def test_one_missing_partner_is_named_where_names_differ(folders):
    for index in range(3):
        folders.add_photo(f"{index}_image.png", photo(0))
        if index != 1:
            folders.add_mask(f"{index}_label.png", labels(0))
    assert folders.problems().problems.popitem()[1] == (str(folders.images / "1_image.png"),)


def test_the_nearest_name_is_found_in_another_folder(folders):
    folders.add("fine")
    folders.add_photo("a/b/1.png", photo(0))
    folders.add_mask("1.png", labels(0))
    images, masks = folders.problems().problems.values()
    assert images[0].endswith("b/1.png (nearest: 1.png)")
    assert masks[0].endswith("1.png (nearest: a/b/1.png)")


def test_the_nearest_name_is_given(folders):
    folders.add("fine")
    folders.add_photo("IMG_1.jpg", photo(0))
    folders.add_mask("img_1.png", labels(0))
    images, masks = folders.problems().problems.values()
    assert images[0].endswith("IMG_1.jpg (nearest: img_1.png)")
    assert masks[0].endswith("img_1.png (nearest: IMG_1.jpg)")


@pytest.mark.parametrize("mask_suffix", ["", "_l\u00e9gende"])
def test_accents_stored_in_two_ways_pair(folders, mask_suffix):
    folders.add_photo("caf\u00e9.png", photo(0))
    folders.add_mask(unicodedata.normalize("NFD", f"caf\u00e9{mask_suffix}.png"), labels(0))
    assert len(examples(folders.dataset(mask_suffix=mask_suffix))) == 1


def test_files_without_a_partner_are_reported_both_ways(folders):
    folders.add("both")
    folders.add_photo("x/photo.png", photo(0))
    folders.add_mask("mask.png", labels(0))
    folders.add_photo("both.jpg", photo(0))
    error = folders.problems()
    doubles, photos, masks = error.problems.values()
    assert "both.jpg and" in doubles[0] and "both.png" in doubles[0]
    assert photos == (str(folders.images / "x" / "photo.png"),)
    assert masks == (str(folders.masks / "mask.png"),)
    assert "image without a mask" in str(error) and "mask without an image" in str(error)


def test_empty_and_missing_folders(folders, tmp_path):
    error = folders.problems()
    ((problem, names),) = error.problems.items()
    assert problem.startswith("no image inside (.avif, .bmp, ")
    assert names == (str(folders.images), str(folders.masks))
    with pytest.raises(FolderError, match="there is no folder"):
        from_folders(tmp_path / "nothing", folders.masks, num_classes=3)


def test_a_folder_of_other_files_says_what_it_holds(folders):
    for index in range(2):
        Image.fromarray(photo(index)).save(folders.images / f"{index}.GIF")
        folders.add_mask(f"{index}.png", labels(index))
    (folders.images / "Makefile").write_text("no image")
    (folders.images / ".DS_Store").write_text("hidden")
    ((problem, names),) = folders.problems().problems.items()
    assert names == (str(folders.images),)
    assert ".webp); it contains .gif, Makefile: convert" in problem


def test_tiff_files_are_read_beside_others(folders):
    for index, suffix in enumerate((".tif", ".png", ".TIFF")):
        folders.add(str(index), index, suffix)
    assert len(examples(folders.dataset())) == 3


def test_unknown_color_is_named_with_its_files(folders):
    colors = [(1, 2, 3), (4, 5, 6)]
    for name in "ab":
        folders.add_photo(f"{name}.png", photo(0))
        mask = np.full((*SIZE, 3), colors[0], np.uint8)
        mask[3, 4] = (7, 8, 9) if name == "b" else colors[1]
        folders.add_mask(f"{name}.png", mask)
    ((problem, names),) = folders.problems(num_classes=None, mask_colors=colors).problems.items()
    assert "(7, 8, 9)" in problem and names == (str(folders.masks / "b.png"),)
    named = {color: index for index, color in enumerate(colors)} | {(7, 8, 9): 255}
    found = examples(folders.dataset(num_classes=2, mask_colors=named))
    assert found[0][1][3, 4] == 1 and found[1][1][3, 4] == 255 and found[1][1][0, 0] == 0


def test_an_ignored_color_is_no_class_where_the_second_class_is_absent(folders):
    folders.add_photo("a.png", photo(0))
    mask = np.zeros((*SIZE, 3), np.uint8)
    mask[3, 4] = (128, 128, 128)
    folders.add_mask("a.png", mask)
    coded = {(0, 0, 0): 0, (255, 255, 255): 1, (128, 128, 128): 255}
    ((_, found),) = examples(folders.dataset(num_classes=2, mask_colors=coded))
    assert found[3, 4] == 255 and found[0, 0] == 0


def test_label_options_reach_the_masks(folders):
    folders.add("one", values=(0, 1, 2, 3, 7))
    original = labels(0, values=(0, 1, 2, 3, 7))
    ((_, mask),) = examples(folders.dataset(class_map={7: 255}, reduce_zero_label=True))
    expected = np.array([255, 0, 1, 2, 0, 0, 0, 255])[original]
    np.testing.assert_array_equal(mask, expected)


def test_black_and_white_masks(folders, caplog):
    for index in range(3):
        folders.add(f"{index}", index, values=(0, 255) if index else (0,))
    found = examples(folders.dataset(num_classes=2, class_weights="balanced"))
    assert "255 is read as class 1" in caplog.text
    for index, (_, mask, weights) in enumerate(found):
        expected = labels(index, values=(0, 255) if index else (0,)) == 255
        np.testing.assert_array_equal(mask, expected)
        assert (weights > 0).all()


@pytest.mark.parametrize(
    "values, options",
    [
        ((0, 1, 255), {"num_classes": 2}),
        ((0, 255), {"num_classes": 3}),
        ((0, 255), {"num_classes": 2, "class_map": {255: 255}}),
        ((0, 255), {"num_classes": 2, "reduce_zero_label": True, "class_map": {0: 1}}),
    ],
)
def test_255_stays_the_ignore_label_elsewhere(folders, caplog, values, options):
    folders.add("one", values=values)
    ((_, mask),) = examples(folders.dataset(**options))
    np.testing.assert_array_equal(mask == 255, labels(0, values=values) == 255)
    assert "class 1" not in caplog.text
    # If the masks contain 0, 1 and 255, the decision is logged.
    assert ("contain 0, 1 and 255: 255 is ignored" in caplog.text) == (1 in values)


def test_black_and_white_masks_beside_masks_of_ids(folders, caplog):
    hint = "No mask contains both 1 and 255: if 255 is class 1 in some of them, set class_map"
    for name, values in (("ids", (0, 1)), ("black_and_white", (0, 255)), ("void", (0, 1, 255))):
        folders.add(name, values=values)
        caplog.clear()
        folders.dataset(num_classes=2)
        assert (hint in caplog.text) == (name == "black_and_white")


def save_palette(path, ids, colors):
    picture = Image.fromarray(ids.astype(np.uint8), "P")
    picture.putpalette([value for color in colors for value in color])
    picture.save(path)


def test_palettes_that_differ(folders):
    red, green, blue, black = (200, 0, 0), (0, 200, 0), (0, 0, 200), (0, 0, 0)
    ids = labels(0, values=(0, 1))
    # Palette c has another order of colours; palette d differs in an unused entry only.
    palettes = {"a": (black, red, green), "b": (black, red, green), "c": (black, green, red)}
    palettes["d"] = (black, red, blue)
    for name, palette in palettes.items():
        folders.add_photo(f"{name}.jpg", photo(0))
        save_palette(folders.masks / f"{name}.png", ids, palette)
    (problem,) = folders.problems().problems.items()
    assert problem[1] == (str(folders.masks / "c.png"),)
    assert "index 1 is (200, 0, 0) in " in problem[0] and "a.png and (0, 200, 0)" in problem[0]
    # With `mask_colors` the masks are read by colour.
    by_color = {black: 0, red: 1, green: 2, blue: 3}
    masks = [mask for _, mask in examples(folders.dataset(num_classes=4, mask_colors=by_color))]
    np.testing.assert_array_equal(masks[0], ids)
    np.testing.assert_array_equal(masks[2], 2 * ids)
    (folders.masks / "c.png").unlink()
    (folders.images / "c.jpg").unlink()
    assert len(examples(folders.dataset())) == 3


@pytest.mark.parametrize("colors", [False, True])
def test_first_frames(folders, colors):
    """Some public data sets have GIF masks and two-page TIFF images."""
    palette = [(0, 0, 0), (200, 0, 0), (0, 200, 0)]
    for index in range(2):
        pages = [Image.fromarray(photo(index + number)) for number in range(2)]
        pages[0].save(folders.images / f"{index}.tif", save_all=True, append_images=pages[1:])
        masks = []
        for number in range(2):
            mask = Image.fromarray(labels(index + number, values=(0, 1, 2)), "P")
            mask.putpalette([value for color in palette for value in color])
            masks.append(mask)
        masks[0].save(folders.masks / f"{index}.gif", save_all=True, append_images=masks[1:])
    options = {"mask_colors": palette} if colors else {}
    assert "--first_frame" in str(folders.problems(**options))  # Masks are missing.
    for index in range(2):
        (folders.masks / f"{index}.gif").rename(folders.masks / f"{index}.png")
    problems = folders.problems(**options).problems
    assert {name[-3:] for names in problems.values() for name in names} == {"tif", "png"}
    assert all("2 frames or pages" in problem and "first_frame" in problem for problem in problems)
    (folders.masks / "0.png").rename(folders.masks / "0.GIF")
    found = examples(folders.dataset(first_frame=True, **options))
    assert len(found) == 2
    for index, (image, mask) in enumerate(found):
        np.testing.assert_array_equal(image, photo(index))
        np.testing.assert_array_equal(mask, labels(index, values=(0, 1, 2)))


def test_balanced_class_weights(folders):
    for index in range(3):
        folders.add(f"{index}", index, values=(0, 0, 0, 2, 255))
    masks = np.stack([labels(index, values=(0, 0, 0, 2, 255)) for index in range(3)])
    valid = masks != 255
    weights = np.concatenate(
        [weights for _, _, weights in arrays(folders.dataset(class_weights="balanced"))]
    )
    for label in (0, 2):
        expected = valid.sum() / (2 * (masks == label).sum())
        np.testing.assert_allclose(weights[masks == label], expected, rtol=1e-6)
    assert (weights[~valid] == 0).all()
    np.testing.assert_allclose(weights[valid].mean(), 1, rtol=1e-6)


def test_balanced_class_weights_leave_out_an_ignored_class(folders):
    folders.add("one", values=(0, 1, 2))
    mask = labels(0, values=(0, 1, 2))
    ((_, _, weights),) = arrays(folders.dataset(class_weights="balanced", ignore_label=0))
    assert (weights[0][mask == 0] == 0).all()
    np.testing.assert_allclose(weights[0][mask != 0].mean(), 1, rtol=1e-6)


def test_given_class_weights(folders):
    folders.add("one")
    ((_, masks, weights),) = arrays(folders.dataset(class_weights=[1, 2, 3]))
    np.testing.assert_array_equal(weights, np.array([1, 2, 3] + [0] * 253)[masks])


def test_seed_epoch_and_initial_epoch(folders):
    for index in range(6):
        folders.add(f"{index}", index)
    options = {"augment": True, "image_size": (24, 24), "seed": 5}
    dataset = folders.dataset(**options)
    first, second = arrays(dataset), arrays(dataset)
    resumed = arrays(folders.dataset(**options, initial_epoch=1, cache=True))
    assert not np.array_equal(first[0][0], second[0][0])
    for batch, other in zip(second, resumed, strict=True):
        np.testing.assert_array_equal(batch[0], other[0])
        np.testing.assert_array_equal(batch[1], other[1])


def test_every_epoch_is_shuffled_unless_told(folders):
    for index in range(8):
        folders.add_photo(f"{index}.png", np.full((*SIZE, 3), index, np.uint8))
        folders.add_mask(f"{index}.png", labels(index))

    def order(dataset):
        return [int(image.max()) for image, _ in examples(dataset)]

    def plain(**options):
        return from_folders(folders.images, folders.masks, num_classes=3, **options)

    files = list(range(8))
    dataset = plain()
    first, second = order(dataset), order(dataset)
    assert sorted(first) == sorted(second) == files
    assert first != files and second != files and first != second
    assert order(plain(augment=True)) == order(plain(shuffle=True)) == first
    in_order = plain(augment=True, shuffle=False)
    assert order(plain(shuffle=False)) == order(in_order) == order(in_order) == files


def test_without_check_a_broken_file_stops_training_and_is_named(folders):
    folders.add("a")
    folders.add("b", values=(0, 9))
    dataset = folders.dataset(check=False)
    with pytest.raises(Exception, match="b.png: has the label 9"):
        arrays(dataset)


def test_a_photo_unlike_its_mask_names_both(folders):
    folders.add("a")
    folders.add_mask("a.png", labels(0, (40, 55)))
    with pytest.raises(ImageFileError, match=r"images.a.png: has size .* its mask .*masks.a.png"):
        folders.dataset(check=False)


def test_batches_are_those_of_the_dataset_and_name_their_files(folders):
    for index in range(5):
        folders.add(f"{index}", index)
    options = {"augment": True, "shuffle": True, "batch_size": 2, "seed": 3}
    opened = open_folders(folders.images, folders.masks, num_classes=3)
    batches = opened.batches(**options)
    dataset = from_folders(folders.images, folders.masks, num_classes=3, **options, initial_epoch=4)
    for batch, (images, masks) in enumerate(arrays(dataset)):
        expected = batches.batch(4, batch)
        np.testing.assert_array_equal(images, expected[0])
        np.testing.assert_array_equal(masks, expected[1])
        names = [folders.images / f"{index}.png" for index in batches.indices(4, batch)]
        assert batches.names(4, batch) == list(map(str, names))
    part = opened.batches(**options, drop_remainder=True, shard=(1, 2))
    np.testing.assert_array_equal(part.batch(0, 1)[0], batches.batch(0, 1)[0][1:])


def test_bad_files_are_skipped_and_logged_when_asked(folders, caplog):
    for index in range(4):
        folders.add(f"{index}", index)
    torn = folders.images / "1.png"
    torn.write_bytes(torn.read_bytes()[:-60])
    folders.add_mask("2.png", labels(2, values=(0, 9)))
    with pytest.raises(FolderError):
        folders.dataset()
    found = examples(folders.dataset(skip_bad_examples=True, class_weights="balanced"))
    for place, ((image, mask, weights), index) in enumerate(zip(found, (0, 3, 3, 3), strict=True)):
        np.testing.assert_array_equal(image, photo(index))
        # All pixels of a replacement have the ignore label and weight 0.
        expected = labels(index) if index == place else np.full(SIZE, 255)
        np.testing.assert_array_equal(mask, expected)
        assert (weights > 0).any() == (index == place)
    assert "1 file: cannot be read" in caplog.text and "1 file: has the label 9" in caplog.text
    opened = open_folders(folders.images, folders.masks, num_classes=3, check=False)
    batches = opened.batches(shuffle=True, skip_bad_examples=True)
    batches.batch(0, 0)
    assert sorted(batches.skipped) == [str(torn), str(folders.images / "2.png")]
    assert "2.png: has the label 9" in batches.skipped[str(folders.images / "2.png")]


def test_progress_is_shown_for_many_files(folders, capsys, monkeypatch):
    # Without a terminal, print a line at every step.
    monkeypatch.setattr("eseg_keras.progress.FIRST_LINE", 0.0)
    monkeypatch.setattr("eseg_keras.progress.NEXT_LINE", 0.0)
    for index in range(201):
        folders.add_photo(f"{index}.bmp", np.zeros((2, 2, 3), np.uint8))
        folders.add_mask(f"{index}.png", np.zeros((2, 2), np.uint8))
    folders.dataset(verbose=False)
    assert not capsys.readouterr().err
    folders.dataset()
    assert "201/201" in capsys.readouterr().err
    (folders.images / "7.bmp").unlink()
    (folders.masks / "7.png").unlink()
    folders.dataset()
    assert not capsys.readouterr().err


def test_examples_are_read_by_index(folders):
    folders.add("one")
    found = FolderExamples(
        (folders.images / "one.png",), (folders.masks / "one.png",), MaskReader(3), 3
    )
    assert len(found) == 1
    np.testing.assert_array_equal(found.read(0)[1], labels(0))
    counts = found.check().label_counts
    np.testing.assert_array_equal(counts, np.bincount(labels(0).ravel(), minlength=256))
    assert found.check().image_sizes == {SIZE}


@pytest.mark.parametrize(
    "options, words",
    [
        ({"num_classes": None}, "class_names"),
        ({"class_names": ["a", "b"]}, "different numbers of classes"),
        ({"mask_colors": [(0, 0, 0)]}, "different numbers of classes"),
        ({"num_classes": 256}, "1 to 255"),
        ({"class_weights": "even"}, "'balanced'"),
        ({"class_weights": "balanced", "check": False}, "check=True"),
        ({"class_weights": [1, 2]}, "3 weights"),
        ({"long_side": 0}, "long_side"),
        ({"augment": True, "check": False}, "image_size"),
        ({"class_map": {5: 7}}, "class_map"),
    ],
)
def test_bad_arguments(folders, options, words):
    folders.add("one")
    with pytest.raises(ValueError, match=words):
        folders.dataset(**options)


def test_class_names_that_repeat(folders):
    with pytest.raises(ValueError, match="`class_names` must be unique. Received: a, b, a"):
        folders.dataset(num_classes=None, class_names=["a", "b", "a"])


def test_unknown_arguments_are_refused(folders):
    with pytest.raises(TypeError, match="colour"):
        folders.dataset(colour=True)


def test_fit_learns_from_folders(folders):
    for index in range(8):
        mask = labels(index, (5, 7), values=(0, 1)).repeat(8, 0).repeat(8, 1)
        noise = photo(index) // 8
        folders.add_photo(
            f"{index}.png", np.where(mask[..., None] == 1, 220, 20).astype("uint8") + noise
        )
        folders.add_mask(f"{index}.png", mask)
    model = keras.Sequential([keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(2, 1)])
    model.compile(
        keras.optimizers.Adam(0.3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255),
        weighted_metrics=["accuracy"],
    )
    train = folders.dataset(num_classes=2, augment=True, class_weights="balanced", cache=True)
    model.fit(train, epochs=6, verbose=0, shuffle=False)
    assert model.evaluate(folders.dataset(num_classes=2), verbose=0)[1] > 0.99


def test_the_limit_of_pixels_holds_for_photos_and_masks(folders, monkeypatch):
    # Our limit replaces Pillow's own limit.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    folders.add("one")
    assert len(open_folders(folders.images, folders.masks, num_classes=3, max_pixels=2240)) == 1
    with pytest.raises(FolderError) as caught:
        open_folders(folders.images, folders.masks, num_classes=3, max_pixels=2239)
    message = str(caught.value)
    assert message.count("2,240 pixels (40x56), more than the limit of 2,239") == 1
    assert "images/one.png" in message and "masks/one.png" in message
    unchecked = open_folders(
        folders.images, folders.masks, num_classes=3, max_pixels=2239, check=False
    )
    with pytest.raises(ImageFileError, match="increase max_pixels"):
        unchecked.read(0)
