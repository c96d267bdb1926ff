"""Decode JPEG and PNG files and encode label maps as PNG files, inside a TensorFlow graph."""

import json
import struct
import zlib
from collections.abc import Sequence

from eseg_keras.optional import require

MAX_SERVED_PIXELS = 1 << 24
"""Default limit of the pixels of a file that a server decodes, 16.8 million."""

MAX_SERVED_FILES = 256
"""Limit of the files of one request."""

REQUEST_FACTOR = 8
"""The files of one request may have this many times the pixels that one of them may have."""

MAX_SCANS = 50
"""Limit of the scans of a JPEG file; encoders write about ten."""

CLASSES_KEYWORD = "eseg-classes"
"""Keyword of the text chunk of a label PNG that holds the classes, as JSON."""

# Number of bytes at the start of a file that hold the EXIF orientation, and the size of a PNG.
_HEAD = 1 << 16
_PNG = b"\x89PNG\r\n\x1a\n"
_IHDR_END = 33
# Compressed data of a PNG: 8 bytes for the deepest pixels, a byte for each row, and some more.
_MOST_BYTES = 9
_PACKED_SLACK = 1 << 16


def decode_image(content, position, max_pixels: int = MAX_SERVED_PIXELS):
    """Decode a JPEG or PNG file to the pixels of `read_image`, uint8 [H, W, 3], in a graph.

    `content` is a scalar string tensor; `position`, its index in the request, is used in messages.
    Running the operations fails with `InvalidArgumentError` for other files, damaged ones, and
    those of more than `max_pixels`: a few kilobytes may decode to gigabytes.
    """
    tf = require("tensorflow", "tensorflow-cpu")
    name, head, is_jpeg, height, width = _header(tf, content, position)
    # Height and width of a PNG have 32 bits each: their product could overflow.
    pixels = tf.cast(height, tf.float64) * tf.cast(width, tf.float64)
    sizes = (tf.strings.as_string(height), "x", tf.strings.as_string(width))
    message = [name, " is of ", *sizes, f" pixels, more than {max_pixels} in all"]
    not_too_large = tf.debugging.Assert(pixels <= max_pixels, [tf.strings.join(message)])
    # A header may claim any size, and the decoder fills what is missing. Every block of 64 pixels
    # takes at least a bit.
    bits = 8 * tf.cast(tf.strings.length(content), tf.float64)
    message = [name, " is truncated: too few bytes for ", *sizes, " pixels"]
    complete = tf.debugging.Assert(~is_jpeg | (pixels <= 64 * bits), [tf.strings.join(message)])
    # Each scan of a progressive file visits all blocks, and may take no more than a few bytes.
    scans = tf.cond(is_jpeg, lambda: _count_scans(tf, content), lambda: 0)
    message = [name, f" is a JPEG file of more than {MAX_SCANS} scans"]
    few_scans = tf.debugging.Assert(scans <= MAX_SCANS, [tf.strings.join(message)])
    # What follows the last pixel in the compressed data of a PNG is unpacked as well.
    packed = tf.cond(is_jpeg, lambda: tf.constant(0.0, tf.float64), lambda: _packed(tf, content))
    message = [name, " is a PNG file of more data than ", *sizes, " pixels have"]
    no_bomb = tf.debugging.Assert(
        packed <= _MOST_BYTES * pixels + _PACKED_SLACK, [tf.strings.join(message)]
    )
    with (
        _after(tf, not_too_large),
        _after(tf, complete),
        _after(tf, few_scans),
        _after(tf, no_bomb),
    ):
        image = tf.cond(
            is_jpeg,
            lambda: _decode_jpeg(tf, content, head),
            lambda: _decode_png(tf, content, head),
        )
    return tf.ensure_shape(image, (None, None, 3))


def count_pixels(content, position):
    """Read the number of pixels, float64, from the header of a file, in a graph."""
    tf = require("tensorflow", "tensorflow-cpu")
    _, _, _, height, width = _header(tf, content, position)
    return tf.cast(height, tf.float64) * tf.cast(width, tf.float64)


def _header(tf, content, position):
    """The name of a file in messages, its first bytes, whether it is a JPEG, height and width."""
    head = tf.io.decode_raw(tf.strings.substr(content, 0, _HEAD), tf.uint8)
    head = tf.cast(tf.pad(head, [[0, _IHDR_END]]), tf.int32)
    is_jpeg = _starts_with(tf, head, b"\xff\xd8\xff")
    is_png = _starts_with(tf, head, _PNG) & _starts_with(tf, head[12:], b"IHDR")
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
    """Encode a label map, uint8 [H, W], as a grey PNG file with a `classes_chunk`, in a graph."""
    tf = require("tensorflow", "tensorflow-cpu")
    png = tf.io.encode_png(label_map[..., None])
    start = tf.strings.substr(png, 0, _IHDR_END)
    return tf.strings.join([start, classes, tf.strings.substr(png, _IHDR_END, 1 << 30)])


def classes_chunk(
    class_names: Sequence[str] | None, palette: Sequence[Sequence[int]] | None
) -> bytes:
    """Return a text chunk with the classes, to be inserted after the first 33 bytes of a PNG.

    Reference:
        [PNG specification](https://www.w3.org/TR/png-3/#11iTXt)
    """
    text = json.dumps({"class_names": class_names, "palette": palette}, ensure_ascii=False)
    # Characters of a name that UTF-8 cannot encode become JSON escapes.
    content = zlib.compress(text.encode(errors="backslashreplace"), 9)
    # Keyword, then: compressed, with zlib, no language, no translated keyword.
    body = b"iTXt%b\0\x01\0\0\0%b" % (CLASSES_KEYWORD.encode(), content)
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _count_scans(tf, content):
    """Markers of the start of a scan; compressed data holds none."""
    data = tf.io.decode_raw(content, tf.uint8)
    return tf.math.count_nonzero((data[:-1] == 0xFF) & (data[1:] == 0xDA), dtype=tf.int32)


def _packed(tf, content):
    """Bytes, float64, from the first to the last chunk of compressed data of a PNG."""
    data = tf.io.decode_raw(content, tf.uint8)
    is_start = tf.ones_like(data[3:], tf.bool)
    for offset, byte in enumerate(b"IDAT"):
        is_start &= data[offset : tf.size(data) - 3 + offset] == byte
    starts = tf.concat([tf.where(is_start)[:, 0], [4]], axis=0)  # Four bytes after a length.
    first, last = tf.reduce_min(starts[:-1]), tf.reduce_max(starts)
    # Padded: the assertion that the file is a PNG may run later.
    length = _big_endian(tf, tf.pad(data, [[0, 4]]), last - 4)
    end = tf.minimum(last + length, tf.size(data, tf.int64))
    return tf.cast(tf.maximum(end - first, 0), tf.float64)


def _decode_jpeg(tf, content, head):
    # The default method is faster, but differs from Pillow and most viewers.
    image = tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")
    return _rotated(tf, image, _orientation(tf, head))


def _decode_png(tf, content, head):
    def scaled():
        grey = tf.io.decode_png(content, channels=1, dtype=tf.uint16)
        return tf.repeat(tf.cast(tf.round(tf.cast(grey, tf.float32) / 257), tf.uint8), 3, axis=-1)

    # Bit depth and colour type of 16-bit grey, whose lower byte would be lost.
    is_deep_grey = (head[24] == 16) & (head[25] == 0)
    return tf.cond(is_deep_grey, scaled, lambda: tf.io.decode_png(content, channels=3))


def _orientation(tf, head):
    """EXIF orientation, 1 to 8, of a JPEG from its first bytes; 1 if there is none."""
    marker = b"Exif\0\0"
    size = tf.size(head)
    # Positions are clipped to the array, so that damaged tags are not an error.
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
