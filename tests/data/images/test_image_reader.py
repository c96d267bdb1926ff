import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from eseg_keras.data import ImageFileError, MaskReader, read_image
from eseg_keras.data.images.mask_reader import is_lossless_webp

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def test_lossless_formats_are_exact(tmp_path):
    for suffix, options in {"png": {}, "bmp": {}, "webp": {"lossless": True}, "PNG": {}}.items():
        path = tmp_path / f"photo ü {suffix}.{suffix}"
        Image.fromarray(RGB).save(path, **options)
        photo = read_image(path)
        assert photo.dtype == np.uint8
        np.testing.assert_array_equal(photo, RGB)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "JPG"])
def test_jpeg(tmp_path, mode, suffix):
    flat = np.full((16, 16, 3), (180, 180, 180) if mode == "L" else (200, 100, 50), np.uint8)
    Image.fromarray(flat).convert(mode).save(tmp_path / f"photo.{suffix}", quality=95)
    photo = read_image(tmp_path / f"photo.{suffix}")
    assert photo.shape == (16, 16, 3)
    assert np.abs(photo.astype(int) - flat).max() <= 4


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "L"])
def test_other_modes_become_rgb(tmp_path, mode):
    picture = Image.fromarray(RGB).convert(mode)
    picture.save(tmp_path / "photo.png")
    expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(read_image(tmp_path / "photo.png"), expected)


def test_palette_with_transparency(tmp_path):
    picture = Image.fromarray(RGB).quantize(8)
    picture.save(tmp_path / "photo.png", transparency=bytes([0, 128, 255]))
    expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(read_image(tmp_path / "photo.png"), expected)


def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path):
    grey = np.array([[0, 257, 51400, 65535]], np.uint16)
    Image.fromarray(grey).save(tmp_path / "photo.png")
    photo = read_image(tmp_path / "photo.png")
    np.testing.assert_array_equal(photo, np.repeat([[[0], [1], [200], [255]]], 3, axis=-1))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    upright = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, -1),
        7: RGB.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(RGB, 1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RGB).save(tmp_path / "photo.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "photo.png"), upright)


@pytest.mark.parametrize(
    "content", [b"", b"RIFF\0\0\0\0WEBP", b"RIFF\0\0\0\0WEBPVP8X\xff\xff\xff\xff"]
)
def test_a_webp_without_a_picture_is_not_lossless(content):
    assert not is_lossless_webp(content)


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "missing", "folder"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp"])
def test_unreadable_files_are_named(tmp_path, damage, suffix):
    path = tmp_path / f"broken one.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        contents = {"truncated": content[: len(content) // 2], "empty": b"", "text": b"a photo"}
        path.write_bytes(contents[damage])
    reasons = {
        "missing": "cannot be read: No such file",
        "folder": "cannot be read: Is a directory",
    }
    for read in (read_image, MaskReader(2)):
        with pytest.raises(
            ImageFileError, match=reasons.get(damage, "truncated, damaged")
        ) as caught:
            read(path)
        assert caught.value.path == path and str(path) in str(caught.value)
        assert len(caught.value.problems) == 1


def test_pixels_are_counted_before_they_are_decoded(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(RGB).save(path)
    whole = path.read_bytes()
    # The header alone is enough to reject the file.
    path.write_bytes(whole[:60])
    with pytest.raises(ImageFileError, match="54 pixels .6x9., more than the limit of 53"):
        read_image(path, max_pixels=53)
    path.write_bytes(whole)
    np.testing.assert_array_equal(read_image(path, max_pixels=54), RGB)


def test_the_limit_of_pillow_gives_way_to_ours_and_stays_what_it_was(tmp_path, monkeypatch):
    path = tmp_path / "photo.png"
    Image.fromarray(RGB).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with ThreadPoolExecutor(4) as pool:
        photos = list(pool.map(read_image, [path] * 20))
    assert all((photo == RGB).all() for photo in photos)
    with pytest.raises(ImageFileError):
        read_image(tmp_path / "missing.png")
    assert Image.MAX_IMAGE_PIXELS == 10


def test_a_picture_of_the_caller_stays_as_it_is(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(tmp_path / "turned.png", exif=exif)
    picture = Image.open(tmp_path / "turned.png")
    assert read_image(picture).shape == (9, 6, 3)
    np.testing.assert_array_equal(read_image(picture), np.rot90(RGB, -1))
    assert picture.size == (9, 6)


def test_every_kind_of_source_is_read_alike(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    path = tmp_path / "turned.png"
    Image.fromarray(RGB).save(path, exif=exif)
    for source in (path, str(path), path.read_bytes(), Image.open(path), RGB[::-1, ::-1]):
        np.testing.assert_array_equal(read_image(source), RGB[::-1, ::-1])
    with pytest.raises(ImageFileError, match="sent.png: cannot be read"):
        read_image(b"no image", name="sent.png")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.0, 0.5, 1.0], r"float32 from 0.0 to 1.0: multiply by 255, .*image_range=\(0, 1\)"),
        ([-1.0, 0.0, 9.0], "pixel values from 0 to 255"),
        ([0.0, np.nan, 9.0], "pixel values from 0 to 255.* from nan to nan: repair"),
        ([0.0, np.inf, 9.0], "pixel values from 0 to 255.* to inf: repair"),
        ([0.0, 70.0, 256.0], "pixel values from 0 to 255"),
    ],
)
def test_files_of_floats_are_checked_like_arrays(tmp_path, values, message):
    pixels = np.array([values], np.float32)
    path = tmp_path / "float.tif"
    Image.fromarray(pixels).save(path)
    for source in (path, Image.open(path), pixels):
        with pytest.raises(ValueError, match=message):
            read_image(source)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_tiff_files_of_32_bits_hold_0_to_255(tmp_path, dtype):
    path = tmp_path / "wide.tif"
    Image.fromarray(np.array([[0, 7, 255]], dtype)).save(path)
    assert read_image(path)[0, :, 1].tolist() == [0, 7, 255]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_a_declared_range(tmp_path, dtype):
    """Files, bytes, Pillow images and arrays are scaled as by NumPy's interpolation."""
    values = np.array([[100, 119, 143, 150]], dtype)
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path)
    expected = np.round(np.interp(values, [100, 150], [0, 255]))
    for source in (path, path.read_bytes(), Image.open(path), values):
        found = read_image(source, image_range=(100, 150))
        np.testing.assert_array_equal(found, np.stack([expected] * 3, axis=-1))
        with pytest.raises(ValueError, match=r"in image_range=\(101, 150\). Received: .* from 100"):
            read_image(source, image_range=(101, 150))
    assert read_image(values[..., None], 1, image_range=(100, 150))[0, 3, 0] == 255


@pytest.mark.parametrize("image_range", [(1, 1), (2, 1), (0, np.inf), (np.nan, 1), (0,)])
def test_what_is_no_range(image_range):
    with pytest.raises(ValueError, match=r"must be \(lowest, highest\).* image_range="):
        read_image(np.zeros((4, 4)), image_range=image_range)


@pytest.mark.parametrize(("channels", "color_type"), [(2, 4), (3, 2), (4, 6)])
def test_a_range_of_16_bit_colors_is_refused(tmp_path, channels, color_type):
    """Pillow reads 16-bit colours with 8 bits, and cannot write them."""

    def chunk(kind, content):
        length, check = len(content), zlib.crc32(kind + content)
        return struct.pack(">I", length) + kind + content + struct.pack(">I", check)

    pixels = np.full((2, 2 * channels), 40000, ">u2")
    header = struct.pack(">IIBBBBB", 2, 2, 16, color_type, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows)
    path = tmp_path / "deep.png"
    path.write_bytes(content + chunk(b"IEND", b""))
    assert read_image(path).tolist() == [[[156] * 3] * 2] * 2
    for source in (path, path.read_bytes(), Image.open(path)):
        with pytest.raises(ValueError, match="colours of 16 bits.*image_range cannot be applied"):
            read_image(source, image_range=(0, 65535))


def test_16_bits_that_hold_8_are_not_read_as_black(tmp_path):
    values = np.array([[0, 100, 255]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    for source in (tmp_path / "a.png", values):
        with pytest.raises(ValueError, match=r"0 to 65535. Received: uint16 from 0 to 255: .*255"):
            read_image(source)
        assert read_image(source, image_range=(0, 255))[0, :, 0].tolist() == [0, 100, 255]
    assert read_image(values * 0).max() == 0


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_a_damaged_picture_of_the_caller_is_a_value_error(kind):
    file = io.BytesIO()
    Image.fromarray(np.tile(RGB, (9, 9, 1))).save(file, kind)
    half = file.getvalue()[: -file.tell() // 4]
    with pytest.raises(ValueError, match="cannot be read as an image"):
        read_image(Image.open(io.BytesIO(half)))


@pytest.mark.parametrize("suffix", ["gif", "tif", "webp"])
def test_several_frames_are_refused_by_name(tmp_path, suffix):
    path = tmp_path / f"many.{suffix}"
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    exact = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **exact)
    message = f"many.{suffix}: contains 2 frames or pages: .*first_frame=True \\(--first_frame\\)"
    with pytest.raises(ImageFileError, match=message):
        read_image(path)
    first = read_image(path, first_frame=True)
    frames[0].save(path, **exact)
    np.testing.assert_array_equal(read_image(path), first)
    assert first.shape == (6, 9, 3)
