import struct
import zlib

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from eseg_keras.data import ImageFileError, MaskReader, read_image

IDS = np.random.default_rng(0).integers(0, 5, (7, 10), dtype=np.uint8)
IDS[0, :3] = 255
COLORS = [(0, 0, 0), (128, 64, 128), (70, 70, 70), (0, 0, 142), (255, 255, 255)]
COLOR_IDS = {color: index for index, color in enumerate(COLORS)} | {(1, 2, 3): 255}


def save(path, array, mode=None, **options):
    Image.fromarray(array, mode).save(path, **options)
    return path


def save_palette(path, ids):
    picture = Image.fromarray(ids, "P")
    picture.putpalette([value for index in range(256) for value in (255 - index, index, 7)])
    picture.save(path)
    return path


def save_grey_png(path, ids, bits):
    """Write a grey PNG of 1, 2, 4, 8 or 16 bits; Pillow cannot write all of these."""
    binary = np.unpackbits(ids.astype(">u2")[..., None].view(np.uint8), axis=-1)[..., -bits:]
    rows = np.packbits(binary.reshape(len(ids), -1), axis=-1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], bits, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")):
        content += struct.pack(">I", len(body)) + kind + body
        content += struct.pack(">I", zlib.crc32(kind + body))
    path.write_bytes(content)
    return path


def colored(ids):
    table = np.zeros((256, 3), np.uint8)
    for color, label in COLOR_IDS.items():
        table[label] = color
    return table[ids]


def as_rgb(ids):
    return np.repeat(ids[..., None], 3, axis=-1)


@pytest.mark.parametrize(
    "write",
    {
        "grey PNG": lambda path: save(path.with_suffix(".png"), IDS),
        "grey BMP": lambda path: save(path.with_suffix(".bmp"), IDS),
        "palette PNG": lambda path: save_palette(path.with_suffix(".png"), IDS),
        "palette BMP": lambda path: save_palette(path.with_suffix(".bmp"), IDS),
        "16-bit PNG": lambda path: save_grey_png(path.with_suffix(".png"), IDS, 16),
        "grey saved as RGB": lambda path: save(path.with_suffix(".png"), as_rgb(IDS)),
        "grey saved as WebP": lambda path: save(
            path.with_suffix(".webp"), as_rgb(IDS), lossless=True
        ),
        "grey with alpha": lambda path: save(
            path.with_suffix(".png"), np.stack([IDS, np.full_like(IDS, 9)], -1)
        ),
        "RGB with alpha": lambda path: save(
            path.with_suffix(".png"), np.dstack([as_rgb(IDS), np.full_like(IDS, 9)])
        ),
    }.items(),
    ids=lambda item: item[0],
)
def test_id_masks(tmp_path, write):
    labels = MaskReader(5)(write[1](tmp_path / "a mask é"))
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, IDS)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("palette", [False, True])
def test_ids_of_few_bits_are_not_stretched(tmp_path, bits, palette):
    ids = np.random.default_rng(0).integers(0, min(2**bits, 20), (5, 11), dtype=np.uint8)
    path = tmp_path / "mask.png"
    if palette:
        picture = Image.fromarray(ids, "P")
        picture.putpalette([value for index in range(2**bits) for value in (index, 200, 9)])
        picture.save(path, bits=bits)
    else:
        save_grey_png(path, ids, bits)
    assert path.read_bytes()[24] == bits
    np.testing.assert_array_equal(MaskReader(20)(path), ids)


@pytest.mark.parametrize("suffix, options", [("png", {}), ("bmp", {}), ("webp", {"lossless": 1})])
@pytest.mark.parametrize("alpha", [False, True])
def test_color_masks(tmp_path, suffix, options, alpha):
    colors = colored(IDS)
    if alpha:
        colors = np.dstack([colors, np.full_like(IDS, 255)])
    path = save(tmp_path / f"mask.{suffix}", colors, **options)
    np.testing.assert_array_equal(MaskReader(5, mask_colors=COLOR_IDS)(path), IDS)


@pytest.mark.parametrize("metadata", ["icc_profile", "exif", "xmp"])
def test_webp_with_metadata_is_known_by_its_picture_alone(tmp_path, metadata):
    # The metadata chunk has an odd size above 64 bytes, and contains the other codec's chunk id.
    for lossless, mark in ((True, b"VP8 "), (False, b"VP8L")):
        path = tmp_path / f"{lossless}.webp"
        options = {"lossless": lossless, metadata: mark * 50 + b"."}
        Image.fromarray(as_rgb(IDS)).save(path, **options)
        assert 20 < path.read_bytes().index(b"VP8L" if lossless else b"VP8 ")
        if lossless:
            np.testing.assert_array_equal(MaskReader(5)(path), IDS)
        else:
            with pytest.raises(ImageFileError, match="is a lossy"):
                MaskReader(5)(path)


def test_colors_in_class_order(tmp_path):
    ids = np.minimum(IDS, 4)
    path = save(tmp_path / "mask.png", colored(ids))
    np.testing.assert_array_equal(MaskReader(5, mask_colors=COLORS)(path), ids)


def test_colors_of_a_palette(tmp_path):
    path = save_palette(tmp_path / "mask.png", np.minimum(IDS, 4))
    colors = {(255 - index, index, 7): 4 - index for index in range(5)}
    labels = MaskReader(5, mask_colors=colors)(path)
    np.testing.assert_array_equal(labels, 4 - np.minimum(IDS, 4))


@given(
    st.dictionaries(st.integers(0, 65535), st.integers(0, 255), max_size=10),
    st.booleans(),
    st.sampled_from([255, 0, 100]),
)
def test_label_map_and_reduce_zero_label(tmp_path_factory, class_map, reduce_zero, ignore_label):
    path = tmp_path_factory.mktemp("masks") / "mask.png"
    ids = np.array([[*range(255), *class_map]], np.uint16)
    save_grey_png(path, ids, 16)

    def expected(label):
        label = class_map.get(label, label)
        if reduce_zero and label != ignore_label:
            label = label - 1 if label else ignore_label
        return label

    assume(all(expected(old) < 255 or expected(old) == ignore_label for old in class_map))
    reader = MaskReader(
        255, class_map=class_map, reduce_zero_label=reduce_zero, ignore_label=ignore_label
    )
    np.testing.assert_array_equal(reader(path)[0], [expected(label) for label in ids[0]])


def test_reduce_zero_label(tmp_path):
    path = save(tmp_path / "mask.png", np.array([[0, 1, 150, 255]], np.uint8))
    labels = MaskReader(150, reduce_zero_label=True)(path)
    np.testing.assert_array_equal(labels, [[255, 0, 149, 255]])


def test_wide_ids_need_a_map(tmp_path):
    path = save_grey_png(tmp_path / "mask.png", np.array([[7, 300, 26000]]), 16)
    labels = MaskReader(2, class_map={7: 0, 300: 1, 26000: 255})(path)
    np.testing.assert_array_equal(labels, [[0, 1, 255]])
    with pytest.raises(ImageFileError, match=r"label 26000.*class_map=\{26000:255\}"):
        MaskReader(2, class_map={7: 0, 300: 1})(path)


def test_every_stray_label_is_named_with_a_remedy(tmp_path):
    path = save(tmp_path / "mask.png", np.array([[0, 11, 12, 255]], np.uint8))
    with pytest.raises(ImageFileError) as caught:
        MaskReader(11)(path)
    first, second = caught.value.problems
    assert "label 11" in first and "0 to 10" in first
    assert "class_map={11:255}" in first and "num_classes=12" in first
    assert "label 12" in second and "num_classes=13" in second


def test_stray_label_under_reduce_zero_label_is_the_one_in_the_file(tmp_path):
    path = save(tmp_path / "mask.png", np.array([[0, 11, 12]], np.uint8))
    with pytest.raises(ImageFileError) as caught:
        MaskReader(11, reduce_zero_label=True)(path)
    (problem,) = caught.value.problems
    assert "label 12, outside the 11 classes, 1 to 11" in problem and "num_classes=12" in problem
    labels = MaskReader(11, reduce_zero_label=True, class_map={12: 255})(path)
    np.testing.assert_array_equal(labels, [[255, 10, 255]])


def test_255_in_black_and_white_masks_gets_its_own_remedy(tmp_path):
    path = save(tmp_path / "mask.png", np.array([[0, 255]], np.uint8))
    with pytest.raises(ImageFileError, match=r"class_map=\{255:1\}"):
        MaskReader(2, ignore_label=254)(path)


def test_a_photo_in_place_of_a_mask(tmp_path):
    path = save(tmp_path / "mask.png", np.arange(200, dtype=np.uint8)[None])
    with pytest.raises(ImageFileError, match="more than 8 labels") as caught:
        MaskReader(11)(path)
    assert len(caught.value.problems) == 1


def test_a_smoothed_black_and_white_mask_is_told_as_that(tmp_path):
    disc = Image.new("L", (64, 64))
    ImageDraw.Draw(disc).ellipse((10, 10, 50, 50), fill=255)
    disc.resize((40, 40), Image.Resampling.BICUBIC).save(tmp_path / "mask.png")
    with pytest.raises(ImageFileError, match="smoothed black and white mask: .*128 up to 255"):
        MaskReader(2)(tmp_path / "mask.png")


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("options", [{}, {"mask_colors": COLORS}])
def test_labels_in_the_alpha_channel_are_refused(tmp_path, mode, options):
    alpha = np.zeros((10, 10), np.uint8)
    alpha[:3, :4] = 255
    mask = Image.new("L", (10, 10)).convert(mode)
    mask.putalpha(Image.fromarray(alpha))
    mask.save(tmp_path / "mask.png")
    with pytest.raises(ImageFileError, match="alpha channel: pixels of the same colour are"):
        MaskReader(2 if not options else 5, **options)(tmp_path / "mask.png")


def test_an_alpha_channel_that_repeats_the_colours_is_ignored(tmp_path):
    colors = colored(IDS)
    alpha = np.where(IDS == 0, 0, 255).astype(np.uint8)
    path = save(tmp_path / "mask.png", np.dstack([colors, alpha]))
    np.testing.assert_array_equal(MaskReader(5, mask_colors=COLOR_IDS)(path), IDS)


def test_every_unknown_color_is_named(tmp_path):
    path = save(tmp_path / "mask.png", np.array([[(0, 0, 0), (9, 8, 7), (255, 0, 1)]], np.uint8))
    with pytest.raises(ImageFileError, match="mask.png") as caught:
        MaskReader(5, mask_colors=COLORS)(path)
    first, second = caught.value.problems
    assert "(9, 8, 7): 255 to ignore it" in first and "(255, 0, 1)" in second


def test_smoothed_color_mask(tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    path = save(tmp_path / "mask.png", colors)
    with pytest.raises(ImageFileError, match="more than 8 colours") as caught:
        MaskReader(5, mask_colors=COLORS)(path)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("options", [{}, {"mask_colors": COLORS}])
@pytest.mark.parametrize(
    "name, how",
    [
        ("mask.jpg", {"format": "JPEG"}),
        ("mask.png", {"format": "JPEG"}),
        ("mask.webp", {"format": "WEBP"}),
        ("mask.jp2", {"format": "JPEG2000", "irreversible": True}),
        ("mask.tif", {"format": "TIFF", "compression": "jpeg"}),
        (
            "mask.mpo",
            {"format": "MPO", "save_all": True, "append_images": [Image.new("L", (9, 9))]},
        ),
    ],
)
def test_masks_saved_with_loss_are_refused_whatever_their_name(tmp_path, options, name, how):
    path = tmp_path / name
    with open(path, "wb") as file:
        Image.fromarray(as_rgb(IDS)).save(file, **how)
    with pytest.raises(ImageFileError, match=f"a lossy {how['format']};.*PNG"):
        MaskReader(5, **options)(path)


def tiff(ids, bits, inverted):
    """Return an uncompressed grey TIFF; Pillow cannot write 2 or 4 bits."""
    digits = ("".join(f"{value:0{bits}b}" for value in row) for row in ids)
    rows = (row.ljust(-(-len(row) // 8) * 8, "0") for row in digits)
    pixels = b"".join(int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)
    height, width = ids.shape
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 1 - inverted, 273: 122}
    tags |= {277: 1, 278: height, 279: len(pixels)}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + directory
    return head.ljust(122, b"\0") + pixels


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("inverted", [False, True])
def test_values_of_tiff_files_with_few_bits_are_ids(tmp_path, bits, inverted):
    ids = np.random.default_rng(0).integers(0, 2**bits, (5, 7), dtype=np.uint8)
    (tmp_path / "mask.tif").write_bytes(tiff(ids, bits, inverted))
    expected = 2**bits - 1 - ids if inverted else ids
    np.testing.assert_array_equal(MaskReader(16)(tmp_path / "mask.tif"), expected)


@pytest.mark.parametrize(
    "most, binary", [(1, True), (4, True), (4, False), (200, True), (999, True)]
)
def test_values_of_pgm_files_are_ids_whatever_their_largest_value(tmp_path, most, binary):
    ids = np.random.default_rng(0).integers(0, min(most, 200) + 1, (5, 7))
    pixels = ids.astype(">u2" if most > 255 else "u1").tobytes()
    if not binary:
        pixels = " ".join(map(str, ids.ravel())).encode()
    (tmp_path / "mask.pgm").write_bytes(b"P%d 7 5 %d\n" % (5 if binary else 2, most) + pixels)
    np.testing.assert_array_equal(MaskReader(201)(tmp_path / "mask.pgm"), ids)


def test_color_mask_without_colors(tmp_path):
    path = save(tmp_path / "mask.png", colored(IDS))
    message = "colour mask: save it as class ids, or pass mask_colors="
    with pytest.raises(ImageFileError, match=message):
        MaskReader(5)(path)


@pytest.mark.parametrize("mode, channels", [("RGB", 3), ("RGBA", 4), ("LA", 2)])
@pytest.mark.parametrize("value", [1, 255])
def test_one_hot_masks_are_told_as_that(tmp_path, mode, channels, value):
    ids = IDS % channels
    one_hot = (np.eye(channels, dtype=np.uint8) * value)[ids]
    path = save(tmp_path / "mask.png", one_hot, mode)
    with pytest.raises(
        ImageFileError, match=rf"one-hot: every pixel is {value} in one of .*argmax"
    ):
        MaskReader(5)(path)
    # Not one-hot: masks with pixels that are zero in all channels, and an opaque mask of class 0.
    one_hot[0] = 0
    if mode == "RGB":
        with pytest.raises(ImageFileError, match="is a colour mask"):
            MaskReader(5)(save(path, one_hot, mode))
    else:
        opaque = np.zeros_like(one_hot)
        opaque[..., -1] = value
        assert not MaskReader(5)(save(path, opaque, mode)).any()


def test_labels_of_values():
    reader = MaskReader(3, class_map={7: 1, 11: 255})
    assert [reader.label_of(value) for value in (2, 7, 11, 3, (0, 0, 0))] == [2, 1, 255, None, None]
    reader = MaskReader(3, mask_colors=COLOR_IDS, class_map={2: 0, 3: 255, 4: 255})
    colors = [(128, 64, 128), (70, 70, 70), (1, 2, 3), (5, 5, 5)]
    assert [reader.label_of(color) for color in colors] == [1, 0, 255, None]
    assert reader.label_of(1) is None


def test_float_and_16_bit_color_masks_are_refused(tmp_path):
    path = save(tmp_path / "float.tif", np.zeros((3, 3), np.float32))
    with pytest.raises(ImageFileError, match="pixel format F"):
        MaskReader(5)(path)
    path = save_grey_png(tmp_path / "wide.png", IDS.astype(np.uint16), 16)
    with pytest.raises(ImageFileError, match="16-bit grey"):
        MaskReader(5, mask_colors=COLORS)(path)


def test_unreadable_mask(tmp_path):
    path = save(tmp_path / "mask.png", IDS)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ImageFileError, match="mask.png.*truncated"):
        MaskReader(5)(path)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"num_classes": 0}, "1 to 255"),
        ({"num_classes": 256}, "1 to 255"),
        ({"ignore_label": 256}, "0 to 255"),
        ({"class_map": {11: 5}}, "of the 5 classes"),
        ({"class_map": {11: 300}}, "0 to 255"),
        ({"class_map": {-1: 0}}, "0 to 65535"),
        ({"mask_colors": {(0, 0, 256): 0}}, "mask_colors"),
        ({"mask_colors": {(0, 0): 0}}, "mask_colors"),
        ({"mask_colors": [(0, 0, 0), (0, 0, 0)]}, "unique"),
    ],
)
def test_bad_arguments(options, words):
    with pytest.raises(ValueError, match=words):
        MaskReader(**{"num_classes": 5} | options)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_rotation_of_a_mask_is_applied_as_that_of_an_image(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    ids = np.arange(6, dtype=np.uint8).reshape(2, 3)
    path = tmp_path / "turned.png"
    Image.fromarray(ids).save(path, exif=exif)
    labels = MaskReader(6)(path)
    turns = {1: 0, 3: 2, 6: -1, 8: 1}[orientation]
    np.testing.assert_array_equal(labels, np.rot90(ids, turns))
    np.testing.assert_array_equal(labels, read_image(path)[..., 0])


def test_a_flipped_bit_does_not_become_another_label(tmp_path):
    path = tmp_path / "mask.png"
    content = []
    for label in (0, 1):
        Image.fromarray(np.full((20, 30), label, np.uint8)).save(path, compress_level=0)
        content.append(bytearray(path.read_bytes()))
    # The intact pixel data of the second file, with the CRC of the first file.
    end = content[0].index(b"IEND") - 8
    content[1][end : end + 4] = content[0][end : end + 4]
    path.write_bytes(content[1])
    with pytest.raises(ImageFileError, match=r"mask.png: is damaged .broken PNG file .*IDAT"):
        MaskReader(2)(path)
