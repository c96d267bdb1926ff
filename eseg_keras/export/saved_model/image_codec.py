"""Decode JPEG and PNG files and encode label maps as PNG files, in a TensorFlow graph."""

import json
import struct
import zlib
from collections.abc import Sequence

from eseg_keras.optional import require

MAX_SERVED_PIXELS = 1 << 24
"""Default limit of the number of pixels of a file, 16.8 million: larger files are rejected."""

MAX_SERVED_FILES = 256
"""Limit of the number of files of one request."""

REQUEST_FACTOR = 8
"""The limit of the total pixels of a request is this factor times the limit of one file."""

MAX_SCANS = 50
"""Limit of the number of scans of a progressive JPEG file; encoders write about ten."""

MAX_COMPRESSED_CHUNKS = 16
"""Limit of the number of compressed texts and colour profiles of a PNG file."""

CLASSES_KEYWORD = "eseg-classes"
"""Keyword of the PNG text chunk that contains the classes of a label map, as JSON."""

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
"""The first bytes of JPEG files and of PNG files."""

# Number of bytes at the start of a file that contain the EXIF orientation or the PNG header.
_HEAD = 1 << 16
_IHDR_END = 33
# Limit of the compressed data of a PNG: 9 bytes per pixel (8 for 16-bit RGBA, and 1 because each
# row has a filter byte) plus 64 KiB.
_MOST_BYTES = 9
_PACKED_SLACK = 1 << 16


def decode_image(content, position, max_pixels: int = MAX_SERVED_PIXELS):
    """Decode a JPEG or PNG file to the same pixels as `read_image`, uint8 [H, W, 3].

    The EXIF rotation of PNG files is ignored, though: `Client` applies it before it sends them.

    `content` is a scalar string tensor; `position`, its index in the request, is for error
    messages. The graph raises `InvalidArgumentError` for files of other formats, damaged files, and
    files with more than `max_pixels` pixels, because a few kilobytes may decode to gigabytes.
    """
    tf = require("tensorflow", "tensorflow-cpu")
    name, head, is_jpeg, height, width = _header(tf, content, position)
    # In float64: height and width of a PNG have 32 bits each, so their product could overflow.
    pixels = tf.cast(height, tf.float64) * tf.cast(width, tf.float64)
    sizes = (tf.strings.as_string(height), "x", tf.strings.as_string(width))
    message = [name, " has ", *sizes, f" pixels, more than the limit of {max_pixels}"]
    not_too_large = tf.debugging.Assert(pixels <= max_pixels, [tf.strings.join(message)])
    # The header of a JPEG file may claim any size, and the decoder fills in missing pixels. In a
    # complete file, every block of 64 pixels takes at least one bit.
    bits = 8 * tf.cast(tf.strings.length(content), tf.float64)
    message = [name, " is truncated: too few bytes for ", *sizes, " pixels"]
    complete = tf.debugging.Assert(~is_jpeg | (pixels <= 64 * bits), [tf.strings.join(message)])
    # A scan of a progressive JPEG file may take only a few bytes, but the decoder visits all blocks
    # for each scan.
    scans = tf.cond(is_jpeg, lambda: _count_scans(tf, content), lambda: 0)
    message = [name, f" is a JPEG file with more than {MAX_SCANS} scans"]
    few_scans = tf.debugging.Assert(scans <= MAX_SCANS, [tf.strings.join(message)])
    # The decoder also decompresses data after the last pixel of a PNG file.
    packed = tf.cond(is_jpeg, lambda: tf.constant(0.0, tf.float64), lambda: _packed(tf, content))
    message = [name, " is a PNG file with more data than ", *sizes, " pixels need"]
    no_bomb = tf.debugging.Assert(
        packed <= _MOST_BYTES * pixels + _PACKED_SLACK, [tf.strings.join(message)]
    )
    # The decoder decompresses up to 8 MB of each text and colour profile.
    chunks = tf.cond(is_jpeg, lambda: 0, lambda: _count_compressed_chunks(tf, content))
    most = MAX_COMPRESSED_CHUNKS
    message = [name, f" is a PNG file with more than {most} compressed texts and colour profiles"]
    few_chunks = tf.debugging.Assert(chunks <= most, [tf.strings.join(message)])
    with (
        _after(tf, not_too_large),
        _after(tf, complete),
        _after(tf, few_scans),
        _after(tf, no_bomb),
        _after(tf, few_chunks),
    ):
        image = tf.cond(
            is_jpeg,
            lambda: _decode_jpeg(tf, content, head),
            lambda: _decode_png(tf, content, head),
        )
    return tf.ensure_shape(image, (None, None, 3))


def count_pixels(content, position):
    """Return the number of pixels, float64, according to the header of a file."""
    tf = require("tensorflow", "tensorflow-cpu")
    _, _, _, height, width = _header(tf, content, position)
    return tf.cast(height, tf.float64) * tf.cast(width, tf.float64)


def _header(tf, content, position):
    """Return the name for messages, the first bytes, whether it is a JPEG, height and width."""
    head = tf.io.decode_raw(tf.strings.substr(content, 0, _HEAD), tf.uint8)
    head = tf.cast(tf.pad(head, [[0, _IHDR_END]]), tf.int32)
    is_jpeg = _starts_with(tf, head, JPEG)
    is_png = _starts_with(tf, head, PNG) & _starts_with(tf, head[12:], b"IHDR")
    name = tf.strings.join(["Image ", tf.strings.as_string(position), " of the request"])
    kind_known = tf.debugging.Assert(
        is_jpeg | is_png, [tf.strings.join([name, " is neither a JPEG nor a PNG file"])]
    )
    with _after(tf, kind_known):
        height, width = tf.unstack(
            tf.cond(
                is_jpeg,
                lambda: tf.cast(tf.io.extract_jpeg_shape(content)[:2], tf.int64),
                lambda: tf.stack([_big_endian(tf, head, 20), _big_endian(tf, head, 16)]),
            )
        )
    return name, head, is_jpeg, height, width


def encode_label_map(label_map, classes: bytes):
    """Encode a label map, uint8 [H, W], as a greyscale PNG file with a `classes_chunk`."""
    tf = require("tensorflow", "tensorflow-cpu")
    png = tf.io.encode_png(label_map[..., None])
    start = tf.strings.substr(png, 0, _IHDR_END)
    return tf.strings.join([start, classes, tf.strings.substr(png, _IHDR_END, 1 << 30)])


def classes_chunk(
    class_names: Sequence[str] | None, palette: Sequence[Sequence[int]] | None
) -> bytes:
    """Return a PNG text chunk with the classes, to insert after the file's 33-byte header.

    Reference:
        [PNG specification](https://www.w3.org/TR/png-3/#11iTXt)
    """
    text = json.dumps({"class_names": class_names, "palette": palette}, ensure_ascii=False)
    # Characters that UTF-8 cannot encode (surrogates) become JSON escapes.
    content = zlib.compress(text.encode(errors="backslashreplace"), 9)
    # Keyword, compression flag, method (zlib), empty language and empty translated keyword.
    body = b"iTXt%b\0\x01\0\0\0%b" % (CLASSES_KEYWORD.encode(), content)
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _count_scans(tf, content):
    """Count the start-of-scan markers; compressed data cannot contain one."""
    data = tf.io.decode_raw(content, tf.uint8)
    return tf.size(_positions(tf, data, b"\xff\xda"))


def _count_compressed_chunks(tf, content):
    """Count the names of compressed chunks; other data hardly ever contains these names."""
    data = tf.io.decode_raw(content, tf.uint8)
    return sum(tf.size(_positions(tf, data, kind)) for kind in (b"zTXt", b"iTXt", b"iCCP"))


def _positions(tf, data, text):
    """Return the positions, int64 [count], at which `text` begins in the data, uint8 [size]."""
    last = len(text) - 1
    is_at = tf.ones_like(data[last:], tf.bool)
    for offset, byte in enumerate(text):
        is_at &= data[offset : tf.size(data) - last + offset] == byte
    return tf.where(is_at)[:, 0]


def _packed(tf, content):
    """Return the number of bytes, float64, from the first IDAT chunk to the end of the last."""
    data = tf.io.decode_raw(content, tf.uint8)
    # Files without an IDAT chunk get the start 4: the length is read from the 4 bytes before it.
    starts = tf.concat([_positions(tf, data, b"IDAT"), [4]], axis=0)
    first, last = tf.reduce_min(starts[:-1]), tf.reduce_max(starts)
    # Pad short files: the assertion that the file is a PNG may run later.
    length = _big_endian(tf, tf.pad(data, [[0, 4]]), last - 4)
    end = tf.minimum(last + length, tf.size(data, tf.int64))
    return tf.cast(tf.maximum(end - first, 0), tf.float64)


def _decode_jpeg(tf, content, head):
    # The default method is faster, but its pixels differ from Pillow's and most viewers'.
    image = tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")
    return _rotated(tf, image, _orientation(tf, head))


def _decode_png(tf, content, head):
    def scaled():
        grey = tf.io.decode_png(content, channels=1, dtype=tf.uint16)
        return tf.repeat(tf.cast(tf.round(tf.cast(grey, tf.float32) / 257), tf.uint8), 3, axis=-1)

    # For 16-bit greyscale (bit depth 16, colour type 0), uint8 decoding would drop the low byte.
    is_deep_grey = (head[24] == 16) & (head[25] == 0)
    return tf.cond(is_deep_grey, scaled, lambda: tf.io.decode_png(content, channels=3))


def _orientation(tf, head):
    """Return the EXIF orientation, 1 to 8, from the first bytes of a JPEG file; by default 1."""
    marker = b"Exif\0\0"
    size = tf.size(head)
    # Positions are clipped to the array, so that damaged EXIF data raises no error.
    found = tf.reduce_all(
        tf.stack([head[i : size - len(marker) + i + 1] == byte for i, byte in enumerate(marker)]),
        axis=0,
    )
    start = tf.argmax(tf.cast(found, tf.int32), output_type=tf.int32) + len(marker)
    is_big = tf.gather(head, start) == ord("M")

    def number(position, count):
        offsets = tf.range(count)
        offsets = tf.where(is_big, count - 1 - offsets, offsets)
        position = tf.clip_by_value(position, 0, size - count)
        values = tf.gather(head, position[..., None] + tf.range(count))
        return tf.reduce_sum(tf.bitwise.left_shift(values, 8 * offsets), axis=-1)

    directory = start + tf.clip_by_value(number(start + 4, 4), 0, size)
    entries = directory + 2 + 12 * tf.range(number(directory, 2))
    is_orientation = number(entries, 2) == 0x0112
    values = tf.boolean_mask(number(entries + 8, 2), is_orientation)
    orientation = tf.concat([values, [1]], axis=0)[0]
    is_valid = tf.reduce_any(found) & (orientation >= 1) & (orientation <= 8)
    return tf.where(is_valid, orientation, 1)


def _rotated(tf, image, orientation):
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    upside_down = tf.gather([False, False, True, True, False, False, True, True], orientation - 1)
    mirrored = tf.gather([False, True, True, False, False, True, True, False], orientation - 1)
    return tf.reverse(image, tf.boolean_mask([0, 1], tf.stack([upside_down, mirrored])))


def _starts_with(tf, head, expected):
    return tf.reduce_all(head[: len(expected)] == list(expected))


def _big_endian(tf, values, start):
    powers = tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64)
    return tf.reduce_sum(tf.cast(values[start : start + 4], tf.int64) * powers)


def _after(tf, assertion):
    # In eager mode, the assertion is `None` and has been checked already.
    return tf.control_dependencies([] if assertion is None else [assertion])
