"""Scaling and cropping an image together with its mask.

Image and mask stay aligned: the same window is cropped from both, and both are resized with pixel
centres at half-integers. The image is resized bilinearly, with anti-aliasing when it shrinks; the
mask by nearest neighbour.
"""

import math

import numpy as np

Size = tuple[int, int]


def resize_window(
    image: np.ndarray,
    mask: np.ndarray,
    scaled_size: Size,
    offset: Size,
    window: Size,
    *,
    ignore_label: int = 255,
    fill: tuple[float, ...] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Resize an image [H, W, C] and its mask [H, W] to `scaled_size`, and crop both to a window.

    Only the pixels inside the window are computed. `window` is the (height, width) of the result.
    `offset` is (y, x) of the window's first pixel in the resized image; it is negative if the
    window begins outside. Outside of the resized image, the result is padded: the image with `fill`
    (by default its mean), the mask with `ignore_label`.

    >>> image, mask = np.zeros((2, 4, 3), np.uint8), np.array([[0, 0, 1, 1]] * 2, np.uint8)
    >>> resize_window(image, mask, scaled_size=(1, 2), offset=(0, -1), window=(1, 4))[1]
    array([[255,   0,   1, 255]], dtype=uint8)
    """
    rows, visible_rows = _visible(mask.shape[0], scaled_size[0], offset[0], window[0])
    columns, visible_columns = _visible(mask.shape[1], scaled_size[1], offset[1], window[1])
    box = (columns[0], rows[0], columns[1], rows[1])
    visible = (visible_rows, visible_columns)
    shown = tuple(part.stop - part.start for part in visible)
    seen_image = _resize_image(image, box, shown)
    seen_mask = mask[_nearest(*rows, shown[0])][:, _nearest(*columns, shown[1])]
    if shown == tuple(window):
        return seen_image, seen_mask
    if fill is None:
        fill = _mean(image)
    if np.issubdtype(image.dtype, np.integer):
        fill = np.round(fill)
    framed_image = np.empty((*window, image.shape[-1]), image.dtype)
    framed_image[:] = np.asarray(fill).astype(image.dtype)
    framed_image[visible] = seen_image
    framed_mask = np.full(window, ignore_label, mask.dtype)
    framed_mask[visible] = seen_mask
    return framed_image, framed_mask


def fit_window(
    image: np.ndarray, mask: np.ndarray, window: Size, *, ignore_label: int = 255
) -> tuple[np.ndarray, np.ndarray]:
    """Scale an image and its mask to fit into a window; pad them at the right or bottom."""
    if mask.shape == tuple(window):
        return image, mask
    scale = min(window[0] / mask.shape[0], window[1] / mask.shape[1])
    return resize_window(
        image, mask, scaled(mask.shape, scale), (0, 0), window, ignore_label=ignore_label
    )


def resize_long_side(
    image: np.ndarray, mask: np.ndarray, long_side: int
) -> tuple[np.ndarray, np.ndarray]:
    """Resize an image and its mask so that the longer side has `long_side` pixels."""
    if max(mask.shape) == long_side:
        return image, mask
    size = scaled(mask.shape, long_side / max(mask.shape))
    return resize_window(image, mask, size, (0, 0), size)


def scaled(size: Size, scale: float) -> Size:
    """Return height and width times `scale`, rounded, at least one pixel each."""
    return tuple(max(1, math.floor(side * scale + 0.5)) for side in size)


def _mean(image: np.ndarray) -> np.ndarray:
    """Return the mean of each channel, float64 [C]."""
    # Sum over rows first: NumPy's mean over both axes at once takes 30 times as long.
    columns = image.reshape(len(image), -1).sum(axis=0, dtype=np.float64)
    return columns.reshape(-1, image.shape[-1]).sum(axis=0) / (image.shape[0] * image.shape[1])


def _visible(
    side: int, scaled_side: int, offset: int, window: int
) -> tuple[tuple[float, float], slice]:
    """Return the visible part of one axis: its interval in the image, its slice in the window."""
    first, last = max(offset, 0), min(offset + window, scaled_side)
    if first >= last:
        raise ValueError(
            f"The window is outside of the image. Received: offset={offset}, window={window}, "
            f"scaled size={scaled_side}"
        )
    interval = (first * side / scaled_side, last * side / scaled_side)
    return interval, slice(first - offset, last - offset)


def _nearest(start: float, stop: float, count: int) -> np.ndarray:
    """Return the pixels at the centres of `count` equal parts of a range."""
    centres = start + (np.arange(count) + 0.5) * ((stop - start) / count)
    return centres.astype(np.intp)


def _resize_image(image: np.ndarray, box: tuple[float, ...], size: Size) -> np.ndarray:
    """Resize the part of an image inside `box` (left, top, right, bottom) bilinearly."""
    from PIL import Image

    def resize(array, dtype):
        pil_image = Image.fromarray(np.ascontiguousarray(array, dtype))
        return np.asarray(pil_image.resize(size[::-1], Image.Resampling.BILINEAR, box=box))

    whole = (0, 0, image.shape[1], image.shape[0])
    if tuple(box) == whole and tuple(size) == image.shape[:2]:
        return image
    if image.dtype == np.uint8 and image.shape[-1] == 3:
        return resize(image, np.uint8)
    # Resize the channels of all other images one by one: Pillow has no images with several float
    # channels.
    dtype = np.uint8 if image.dtype == np.uint8 else np.float32
    channels = [resize(image[..., channel], dtype) for channel in range(image.shape[-1])]
    return np.stack(channels, axis=-1).astype(image.dtype)
