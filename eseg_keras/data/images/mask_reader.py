"""Reading mask files."""

import io
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eseg_keras.data.images.image_reader import (
    MAX_PIXELS,
    ImageFileError,
    decode,
    no_pillow_limit,
    read_file,
    upright,
)

if TYPE_CHECKING:
    from PIL import Image

Color = tuple[int, int, int]

# Largest number of unknown labels or colours in a message; smoothed masks have thousands.
_MOST_NAMED = 8


class MaskReader:
    """Reader of mask files; returns labels, uint8 [H, W].

    The id of a pixel in the file is:

    - without `mask_colors`, the value in grey images (1 to 16 bits), the index in palette images,
      or the value in RGB images whose three channels are equal;
    - with `mask_colors`, the id of the pixel's colour, also in palette images.

    `class_map` is applied to these ids first. Then `reduce_zero_label` maps 0 to `ignore_label`,
    and subtracts 1 from all other ids except `ignore_label`. The results must be class ids or
    `ignore_label`; other labels raise an error.

    Args:
        num_classes: Number of classes, 1 to 255.
        mask_colors: {(red, green, blue): id}, or the colours in class order.
        class_map: {id in the file: new id}. Other ids do not change. A new id may be
            `ignore_label`.
        reduce_zero_label: Whether id 0 means "no label" and the classes begin at 1, as in ADE20K.
        ignore_label: Label of ignored pixels, 0 to 255.
        max_pixels: Files with more pixels raise an error before they are decoded.
        first_frame: Whether to read the first frame of files with several frames; see `read_image`.

    Example:

    >>> import tempfile
    >>> import numpy as np
    >>> from PIL import Image
    >>> from eseg_keras.data import MaskReader
    >>> path = tempfile.mkdtemp() + "/mask.png"
    >>> Image.fromarray(np.array([[0, 1, 2]], np.uint8)).save(path)
    >>> MaskReader(num_classes=2, class_map={2: 255})(path)
    array([[  0,   1, 255]], dtype=uint8)
    """

    def __init__(
        self,
        num_classes: int,
        *,
        mask_colors: Mapping[Color, int] | Sequence[Color] | None = None,
        class_map: Mapping[int, int] | None = None,
        reduce_zero_label: bool = False,
        ignore_label: int = 255,
        max_pixels: int = MAX_PIXELS,
        first_frame: bool = False,
    ):
        if not 1 <= num_classes <= 255:
            raise ValueError(f"`num_classes` must be 1 to 255. Received: num_classes={num_classes}")
        if not 0 <= ignore_label <= 255:
            raise ValueError(
                f"`ignore_label` must be 0 to 255. Received: ignore_label={ignore_label}"
            )
        self.num_classes = num_classes
        self.ignore_label = ignore_label
        self.max_pixels = max_pixels
        self.first_frame = first_frame
        self.class_map = dict(class_map or {})
        self.reduce_zero_label = reduce_zero_label
        new_labels = _label_table(self.class_map, reduce_zero_label, ignore_label)
        is_label = np.zeros(65536, bool)
        is_label[[*range(num_classes), ignore_label]] = True
        # Both tables are indexed by the id in the file.
        self._is_allowed = is_label[new_labels]
        self._new_labels = new_labels.astype(np.uint8)
        for old, new in self.class_map.items():
            if not self._is_allowed[old]:
                raise ValueError(
                    f"`class_map` must map ids to one of the {num_classes} classes or to "
                    f"ignore_label={ignore_label}. Received: class_map={{..., {old}: {new}}}"
                )
        self._color_ids = None if mask_colors is None else _color_table(mask_colors)

    def __call__(self, path: str | Path) -> np.ndarray:
        """Read a mask file as class ids and `ignore_label`, uint8 [H, W].

        Raise ImageFileError if the file cannot be read or contains unknown labels or colours.
        """
        if self._color_ids is None:
            ids = read_ids(path, self.max_pixels, self.first_frame)
        else:
            ids = self._ids_of_colors(path)
        # `np.take` is faster than indexing.
        is_allowed = np.take(self._is_allowed, ids)
        if not is_allowed.all():
            stray = np.unique(ids[~is_allowed]).tolist()
            problems = [_smoothed(ids)] if len(stray) > _MOST_NAMED else []
            raise ImageFileError(path, list(filter(None, problems)) or self._stray_labels(stray))
        return np.take(self._new_labels, ids)

    @property
    def reads_colors(self) -> bool:
        """Whether the classes are given by colours (`mask_colors`)."""
        return self._color_ids is not None

    def label_of(self, value: int | Color) -> int | None:
        """Return the label for an id or a colour of a mask file; None if it is not allowed.

        >>> MaskReader(num_classes=2, class_map={7: 1}).label_of(7)
        1
        """
        if isinstance(value, tuple):
            red, green, blue = value
            value = (
                -1 if self._color_ids is None else self._color_ids[red << 16 | green << 8 | blue]
            )
        elif self._color_ids is not None:
            return None
        is_label = value >= 0 and self._is_allowed[value]
        return int(self._new_labels[value]) if is_label else None

    def _ids_of_colors(self, path):
        codes = _color_codes(path, self.max_pixels, self.first_frame)
        ids = self._color_ids[codes]
        unknown = np.unique(codes[ids < 0]).tolist()
        problems = []
        if len(unknown) > _MOST_NAMED:
            problems = [
                f"has more than {_MOST_NAMED} colours that are not in `mask_colors`: export the "
                "mask as PNG, without smoothing, resizing or lossy compression"
            ]
        else:
            for code in unknown:
                color = (code >> 16, code >> 8 & 255, code & 255)
                problems.append(
                    f"has the colour {color}, which is not in `mask_colors`: add {color}: ID, "
                    f"or {color}: {self.ignore_label} to ignore it"
                )
        if problems:
            raise ImageFileError(path, problems)
        return ids

    def _stray_labels(self, ids):
        """Return the problem and the remedy for each id that is not a class."""
        wanted = f"the {self.num_classes} classes, 0 to {self.num_classes - 1}"
        if self.reduce_zero_label:
            wanted = f"the {self.num_classes} classes, 1 to {self.num_classes}, and 0"
        if len(ids) > _MOST_NAMED:
            return [f"has more than {_MOST_NAMED} labels outside {wanted}: check that it is a mask"]
        problems = []
        for label in ids:
            remedy = f"pass class_map={{{label}:{self.ignore_label}}} to ignore it"
            enough = label + 1 - self.reduce_zero_label
            if enough <= 255:
                remedy += f", or num_classes={enough} if it is a class"
            if label == 255 and self.num_classes == 2:
                remedy += ", or class_map={255:1} if the masks are black and white"
            problems.append(f"has the label {label}, outside {wanted}: {remedy}")
        return problems


def _smoothed(ids):
    """Return a problem if the mask looks black and white with smoothed edges, else None."""
    if (
        ids.max() > 255
        or ((ids > 0) & (ids < 255)).mean() > 0.5
        or not ((ids == 0).any() and (ids == 255).any())
    ):
        return None
    return (
        "looks like a smoothed black and white mask: some of its pixels are between 0 and 255. "
        "Export it without anti-aliasing or resizing, or set pixels from 128 up to 255 and the "
        "others to 0"
    )


def _check_alpha(path, pixels):
    """Raise ImageFileError if pixels of the same colour in a mask [H, W, C] differ in alpha."""
    alpha = pixels[..., -1].astype(np.int64)
    if (alpha == alpha.flat[0]).all():
        return
    values = np.zeros(alpha.shape, np.int64)
    for channel in range(pixels.shape[-1] - 1):
        values = values << 8 | pixels[..., channel]
    if len(np.unique(values << 8 | alpha)) > len(np.unique(values)):
        problem = (
            "has labels in its alpha channel: pixels of the same colour are opaque and "
            "transparent. Save the alpha channel as a grey image of class ids"
        )
        raise ImageFileError(path, [problem])


def _check_one_hot(path, pixels):
    """Raise ImageFileError if a mask [H, W, C] looks one-hot."""
    is_set = pixels == pixels.max()
    is_one_hot = (is_set.sum(axis=-1) == 1).all() and not pixels[~is_set].any()
    # More than one channel must be used: in an opaque black mask, only alpha is not 0.
    if is_one_hot and pixels.max() in (1, 255) and is_set.any(axis=(0, 1)).sum() > 1:
        problem = (
            f"looks one-hot: every pixel is {pixels.max()} in one of the {pixels.shape[-1]} "
            "channels and 0 in the others. Save np.argmax(mask, axis=-1) as a grey image or, if "
            "each colour is a class, pass mask_colors={(red, green, blue): id, ...}"
        )
        raise ImageFileError(path, [problem])


def _label_table(class_map, reduce_zero_label, ignore_label):
    """Return the new label of each id from 0 to 65535, uint16 [65536]."""
    labels = np.arange(65536)
    for old, new in class_map.items():
        if not (0 <= old <= 65535 and 0 <= new <= 255):
            raise ValueError(
                "`class_map` must be {id in the files, 0 to 65535: new id, 0 to 255}. "
                f"Received: class_map={{..., {old}: {new}}}"
            )
        labels[old] = new
    if reduce_zero_label:
        reduced = np.where(labels == 0, ignore_label, labels - 1)
        labels = np.where(labels == ignore_label, ignore_label, reduced)
    return labels.astype(np.uint16)


def _color_table(mask_colors):
    """Return the id of each of the 2^24 colours, int16; -1 for unknown colours."""
    if not isinstance(mask_colors, Mapping):
        if len(set(map(tuple, mask_colors))) != len(mask_colors):
            raise ValueError(
                "`mask_colors` in class order must be unique; if two colours are the same class, "
                "pass {(red, green, blue): id}. "
                f"Received: mask_colors={mask_colors}"
            )
        mask_colors = {tuple(color): index for index, color in enumerate(mask_colors)}
    table = np.full(1 << 24, -1, np.int16)
    for color, label in mask_colors.items():
        if len(color) != 3 or not all(0 <= value <= 255 for value in (*color, label)):
            raise ValueError(
                "`mask_colors` must be {(red, green, blue): id} with numbers from 0 to 255. "
                f"Received: mask_colors={{..., {color}: {label}}}"
            )
        red, green, blue = color
        table[red << 16 | green << 8 | blue] = label
    return table


def is_lossless_webp(content: bytes) -> bool:
    """Return whether a WebP file is lossless.

    The pixels are in a chunk `VP8L` if so, otherwise in a chunk `VP8 `.

    Reference:
        [WebP container](https://developers.google.com/speed/webp/docs/riff_container)
    """
    position = 12  # After "RIFF", the size of the file and "WEBP".
    while position + 8 <= len(content):
        kind, size = struct.unpack_from("<4sI", content, position)
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        position += 8 + size + size % 2  # Chunks begin at even positions.
    return False


def _is_lossy(pil_image, content):
    """Return whether the compression of a file may have changed its pixels."""
    if pil_image.format == "WEBP":
        return not is_lossless_webp(content)
    if pil_image.format == "TIFF":
        return pil_image.info.get("compression") in ("jpeg", "tiff_jpeg", "webp")
    return pil_image.format in ("AVIF", "JPEG", "JPEG2000", "MPO")


def decode_mask(
    content: str | Path | bytes,
    name: str | Path,
    max_pixels: int = MAX_PIXELS,
    first_frame: bool = False,
) -> tuple["Image.Image", bytes]:
    """Decode a mask file (path or bytes) in its own mode, and apply its EXIF rotation.

    Return the Pillow image and the bytes of the file. Files with lossy compression, and PNG files
    with a wrong checksum, raise ImageFileError.
    """
    from PIL import Image

    content = content if isinstance(content, bytes) else read_file(content, name)
    pil_image = decode(content, name, max_pixels, first_frame)
    if pil_image.format == "PNG":
        try:
            with no_pillow_limit():
                unread = Image.open(io.BytesIO(content))
            unread.verify()  # Check the checksums, which decoding ignores.
        except (SyntaxError, OSError) as error:
            problem = f"is damaged ({error}), so its labels may be wrong: restore the original file"
            raise ImageFileError(name, [problem]) from error
    if _is_lossy(pil_image, content):
        verb = "may be" if pil_image.format in ("AVIF", "JPEG2000") else "is"
        problem = (
            f"{verb} a lossy {pil_image.format}; lossy compression changes labels at edges: save "
            "the original mask as PNG"
        )
        raise ImageFileError(name, [problem])
    try:
        turned = upright(pil_image)
    except ValueError as error:
        raise ImageFileError(name, [str(error)]) from error
    turned.format = pil_image.format
    return turned, content


def read_colors(path, max_pixels, first_frame=False):
    """Read a mask whose colours are the classes, uint8 [H, W, 3]."""
    pil_image, _ = decode_mask(path, path, max_pixels, first_frame)
    if pil_image.mode.startswith("I"):
        raise ImageFileError(path, ["is 16-bit grey; `mask_colors` expects 8-bit colours"])
    if pil_image.mode == "P" and "transparency" in pil_image.info:
        pil_image = pil_image.convert("RGBA")
    if pil_image.mode in ("LA", "RGBA"):
        _check_alpha(path, np.asarray(pil_image))
    return np.asarray(pil_image.convert("RGB"))


def count_ids(path: str | Path) -> Counter[int]:
    """Return the number of pixels of each id in the first frame of a mask file."""
    counts = np.bincount(read_ids(path, MAX_PIXELS, first_frame=True).ravel())
    return Counter({int(value): int(counts[value]) for value in np.flatnonzero(counts)})


def count_colors(path: str | Path) -> Counter[Color]:
    """Return the number of pixels of each colour in the first frame of a mask file."""
    codes, counts = np.unique(_color_codes(path, MAX_PIXELS, True), return_counts=True)
    pairs = zip(codes.tolist(), counts.tolist(), strict=True)
    return Counter({(code >> 16, code >> 8 & 255, code & 255): count for code, count in pairs})


def _color_codes(path, max_pixels, first_frame):
    """Read a mask as int32 [H, W], red << 16 | green << 8 | blue."""
    red, green, blue = np.moveaxis(
        read_colors(path, max_pixels, first_frame).astype(np.int32), -1, 0
    )
    return (red << 16) | (green << 8) | blue


def palette_of(path: str | Path) -> bytes | None:
    """Return the palette of a mask file, or None if the file has no palette.

    The palette contains red, green and blue of each index.
    """
    from PIL import Image

    try:
        with no_pillow_limit():
            pil_image = Image.open(path)
        with pil_image:
            if pil_image.mode not in ("P", "PA"):
                return None
            # For PNG, `getpalette` would also decode the pixels.
            is_png = pil_image.format == "PNG" and pil_image.palette is not None
            return bytes(pil_image.palette.palette if is_png else pil_image.getpalette("RGB"))
    except Exception:  # The problem is reported when the mask is read.
        return None


def read_palette(path: Path, num_classes: int) -> tuple[Color, ...] | None:
    """Return the colours of the classes in the palette of a mask file.

    Return None if there are fewer colours than classes, or only greys.
    """
    colors = np.frombuffer(palette_of(path) or b"", np.uint8).reshape(-1, 3)[:num_classes]
    if len(colors) < num_classes or (colors == colors[:, :1]).all():
        return None
    return tuple(map(tuple, colors.tolist()))


def read_ids(path, max_pixels, first_frame=False):
    """Read a mask whose values or palette indices are ids, uint8 or uint16 [H, W]."""
    pil_image, content = decode_mask(path, path, max_pixels, first_frame)
    bits = content[24] if pil_image.format == "PNG" else 8
    pixels = np.asarray(pil_image)
    if pil_image.mode in ("LA", "RGB", "RGBA") and bits == 8:
        _check_one_hot(path, pixels)
    if pil_image.mode in ("LA", "PA", "RGBA") and bits == 8:
        _check_alpha(path, pixels)
    if pil_image.mode in ("L", "I") and pil_image.format in ("PNG", "PPM", "TIFF"):
        pixels = _stored_values(pixels, content)
    if pil_image.mode in ("1", "L", "P", "LA", "PA") and bits != 16:
        return (pixels if pixels.ndim == 2 else pixels[..., 0]).astype(np.uint8)
    problem = (
        f"has the pixel format {pil_image.mode} with {bits} bits: save masks as PNG with 8-bit "
        "or 16-bit ids, a palette, or 8-bit RGB colours"
    )
    if pil_image.mode in ("RGB", "RGBA") and bits == 8:
        if (pixels[..., :1] == pixels[..., 1:3]).all():
            return pixels[..., 0]
        problem = (
            "is a colour mask: save it as class ids, or pass "
            "mask_colors={(red, green, blue): id, ...}"
        )
    elif pil_image.mode.startswith("I") and pixels.min() >= 0 and pixels.max() <= 65535:
        return pixels.astype(np.uint16)
    raise ImageFileError(path, [problem])


def _stored_values(pixels, content):
    """Undo Pillow's scaling of 2-bit, 4-bit and PGM values to full range."""
    from PIL import Image

    with no_pillow_limit():
        decoder, _, _, options = Image.open(io.BytesIO(content)).tile[0]
    if decoder.startswith("ppm"):
        most = options[1]
    else:
        raw_mode = options if isinstance(options, str) else options[0]
        most = {"L;2": 3, "L;4": 15}.get(raw_mode[:3])
    if most is None:
        return pixels
    limit = 255 if pixels.dtype == np.uint8 else 65535
    return (pixels.astype(np.int64) * most + limit // 2) // limit
