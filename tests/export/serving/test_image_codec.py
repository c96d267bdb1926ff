"""Images decoded in a graph, compared with Pillow; and PNG label maps with class names."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from eseg_keras.data.images.image_reader import read_image
from eseg_keras.export.saved_model import image_codec
from eseg_keras.export.saved_model.image_codec import (
    MAX_COMPRESSED_CHUNKS,
    MAX_SCANS,
    classes_chunk,
    count_pixels,
    decode_image,
    encode_label_map,
)

LIMIT = 60 * 80


@pytest.fixture(scope="module")
def decode():
    spec = [tf.TensorSpec((), tf.string)]
    graph = tf.function(lambda file: decode_image(file, 3, LIMIT), spec, autograph=False)
    return lambda content: graph(tf.constant(content)).numpy()


def picture(mode, height=60, width=80, seed=0):
    rng = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 65536, (height, width), np.uint16))
    small = rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 4), np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    if mode == "P":
        return image.convert("RGB").quantize(16)
    return image.convert("RGB").convert(mode) if mode in ("1", "CMYK") else image.convert(mode)


def expected(content):
    return read_image(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("options", [{}, {"transparency": 3}, {"bits": 4}], ids=str)
def test_png(mode, options, decode, file_of):
    if options and mode != "P":
        options = {"dpi": (72, 72)}
    content = file_of(picture(mode), "PNG", **options)
    np.testing.assert_array_equal(decode(content), expected(content))


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_png_of_16_bits_and_several_channels(channels, decode):
    values = np.random.default_rng(0).integers(0, 65536, (50, 70, channels), np.uint16)
    content = tf.io.encode_png(values).numpy()
    np.testing.assert_array_equal(decode(content), expected(content))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_interlaced_png_of_few_bits(bits, decode):
    # The test encodes the file itself, because Pillow does not write interlaced files.
    values = np.random.default_rng(bits).integers(0, 2**bits, (8, 8))
    passes = [
        (0, 8, 0, 8),
        (0, 8, 4, 8),
        (4, 8, 0, 4),
        (0, 4, 2, 4),
        (2, 4, 0, 2),
        (0, 2, 1, 2),
        (1, 2, 0, 1),
    ]
    data = b""
    for top, down, left, across in passes:
        for row in values[top::down, left::across]:
            ones = "".join(f"{value:0{bits}b}" for value in row)
            ones += "0" * (-len(ones) % 8)
            data += b"\0" + int(ones, 2).to_bytes(len(ones) // 8)
    header = struct.pack(">IIBBBBB", 8, 8, bits, 0, 0, 0, 1)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")):
        content += struct.pack(">I", len(body)) + kind + body
        content += struct.pack(">I", zlib.crc32(kind + body))
    grey = values * 255 // (2**bits - 1)
    np.testing.assert_array_equal(decode(content), np.stack([grey] * 3, axis=-1))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
def test_jpeg(mode, options, decode, file_of):
    content = file_of(picture(mode), "JPEG", quality=80, **options)
    np.testing.assert_array_equal(decode(content), expected(content))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    orientation=st.integers(0, 10),
    is_big=st.booleans(),
    before=st.lists(st.sampled_from([0x010E, 0x010F, 0x0110]), unique=True),
    comment=st.binary(max_size=300),
    icc=st.booleans(),
)
def test_exif_orientation(orientation, is_big, before, comment, icc, decode, file_of):
    tags = Image.Exif()
    tags.endian = ">" if is_big else "<"
    for tag in before:
        tags[tag] = "a word"
    tags[0x0112] = orientation
    options = {"icc_profile": b"Exif\0\0MM\0*profile"} if icc else {}
    content = file_of(picture("RGB"), "JPEG", exif=tags.tobytes(), comment=comment, **options)
    np.testing.assert_array_equal(decode(content), expected(content))


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 60), damage=st.binary(min_size=1, max_size=8), jpeg=st.booleans())
def test_damaged_headers_are_errors_or_images(start, damage, jpeg, decode, file_of):
    tags = Image.Exif()
    tags[0x0112] = 6
    options = {"exif": tags} if jpeg else {}
    content = bytearray(file_of(picture("RGB"), "JPEG" if jpeg else "PNG", **options))
    content[start : start + len(damage)] = damage
    try:
        assert decode(bytes(content)).shape[-1] == 3
    except tf.errors.InvalidArgumentError:
        pass


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_too_many_pixels_are_refused_before_decoding(kind, decode, file_of):
    content = file_of(picture("RGB", 81, 60), kind)
    message = f"Image 3 of the request has 81x60 pixels, more than the limit of {LIMIT}"
    # The message is the same for a truncated file, because the size is checked before decoding.
    for file in (content, content[: len(content) // 2]):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            decode(file)


def test_a_bomb_costs_nothing(decode):
    header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header
    with pytest.raises(tf.errors.InvalidArgumentError, match="2147483647x2147483647 pixels"):
        decode(content + struct.pack(">I", zlib.crc32(b"IHDR" + header)))


@pytest.mark.parametrize("progressive", [False, True])
def test_a_header_that_promises_more_than_the_file_has(file_of, progressive):
    content = bytearray(file_of(picture("RGB", 16, 16), "JPEG", progressive=progressive))
    start = content.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    content[start + 5 : start + 9] = struct.pack(">HH", 4000, 4000)
    message = "Image 0 of the request is truncated: too few bytes for 4000x4000 pixels"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode_image(tf.constant(bytes(content)), 0)


@pytest.mark.parametrize("progressive", [False, True])
def test_the_smallest_files_are_not_refused(file_of, progressive):
    """One colour at the lowest quality gives the smallest possible file."""
    image = Image.new("RGB", (4096, 4096), (90, 90, 90))
    options = {"quality": 1, "optimize": True, "progressive": progressive, "subsampling": 2}
    decoded = decode_image(tf.constant(file_of(image, "JPEG", **options)), 0)
    assert decoded.shape == (4096, 4096, 3)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_a_png_costs_no_more_than_its_pixels(decode, file_of):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    rows = bytes(8 * 25)
    start, end = b"\x89PNG\r\n\x1a\n" + header, chunk(b"IEND", b"")
    pixels = chunk(b"IDAT", zlib.compress(rows))
    assert decode(start + pixels + end).max() == 0
    # Other kinds of chunks are not counted: the decoder limits them itself.
    others = chunk(b"prVt", bytes(100_000))
    assert decode(start + others + pixels + others + end).shape == (8, 8, 3)
    bomb = zlib.compress(rows + bytes(100_000_000), 9)
    pieces = [bomb[i : i + 9000] for i in range(0, len(bomb), 9000)]
    for kinds in ([bomb], pieces):
        content = start + b"".join(chunk(b"IDAT", piece) for piece in kinds) + end
        with pytest.raises(tf.errors.InvalidArgumentError, match="more data than 8x8 pixels need"):
            decode(content)
    # Noise in the largest pixel format, uncompressed, is within the limit.
    deep = np.random.default_rng(0).integers(0, 65536, (60, 80, 4), np.uint16)
    assert decode(tf.io.encode_png(deep, compression=0).numpy()).shape == (60, 80, 3)


@pytest.mark.parametrize(
    "kind, head", [(b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")]
)
def test_compressed_texts_are_counted(decode, file_of, kind, head):
    content = file_of(picture("RGB"), "PNG")
    text = chunk(kind, head + zlib.compress(bytes(1 << 20)))
    plain = chunk(b"tEXt", b"a\0b") * 99
    with_texts = content[:33] + text * MAX_COMPRESSED_CHUNKS + plain + content[33:]
    np.testing.assert_array_equal(decode(with_texts), expected(content))
    with pytest.raises(tf.errors.InvalidArgumentError, match="3 .* more than 16 compressed texts"):
        decode(content[:33] + text * (MAX_COMPRESSED_CHUNKS + 1) + content[33:])


def test_scans_are_counted(file_of):
    content = file_of(picture("RGB", 64, 64), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    scan = content[last:-2]
    for count, is_refused in ((MAX_SCANS - content.count(b"\xff\xda"), False), (99, True)):
        many = content[:last] + scan * (count + 1) + b"\xff\xd9"
        if is_refused:
            with pytest.raises(tf.errors.InvalidArgumentError, match="with more than 50 scans"):
                decode_image(tf.constant(many), 0)
        else:
            assert decode_image(tf.constant(many), 0).shape == (64, 64, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_pixels_are_counted_from_the_header(kind, file_of):
    content = file_of(picture("RGB", 81, 60), kind)
    assert count_pixels(tf.constant(content[:800]), 0).numpy() == 81 * 60


OTHERS = [b"", b"\xff", b"GIF89a" * 9, b"\x89PNG\r\n\x1a\n", b"\0" * 99]


@pytest.mark.parametrize("content", OTHERS)
def test_nothing_fails_before_the_assertion_on_the_kind_of_file(content):
    # In a graph, the size of the compressed data may be computed before the assertion.
    assert image_codec._packed(tf, tf.constant(content)) == 0


@pytest.mark.parametrize("content", OTHERS)
def test_other_files(content, decode):
    with pytest.raises(tf.errors.InvalidArgumentError, match="3 of the request is neither a JPEG"):
        decode(content)


@pytest.mark.parametrize("names", [None, ("road", "ciel – été", "木\n\udce9")])
def test_label_maps_hold_their_classes(names):
    label_map = np.random.default_rng(0).integers(0, 256, (13, 9), np.uint8)
    palette = None if names is None else ((0, 0, 0), (1, 2, 3), (255, 0, 7))
    content = encode_label_map(tf.constant(label_map), classes_chunk(names, palette)).numpy()
    picture = Image.open(io.BytesIO(content))
    picture.verify()  # Compares the checksums of all chunks.
    picture = Image.open(io.BytesIO(content))
    assert picture.mode == "L"
    np.testing.assert_array_equal(np.asarray(picture), label_map)
    found = json.loads(picture.text["eseg-classes"])
    assert found["class_names"] == (None if names is None else list(names))
    assert found["palette"] == (None if palette is None else list(map(list, palette)))
    np.testing.assert_array_equal(tf.io.decode_png(content)[..., 0], label_map)
