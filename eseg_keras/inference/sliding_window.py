"""Sliding windows over large images, with blended scores where windows overlap."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

Size = tuple[int, int]
Part = tuple[slice, slice]


def window_starts(length: int, window: int, overlap: int) -> list[int]:
    """Return the starts of evenly spaced windows, as few as cover `length`."""
    count = 1 + -(-(length - window) // (window - overlap))
    return [round(start) for start in np.linspace(0, length - window, count)]


def window_weights(starts: Sequence[int], window: int, overlap: int) -> np.ndarray:
    """Return weights [number of windows, window] that add up to 1 at every pixel.

    The weights of a window decrease towards its ends, where the network has little context; they
    stay 1 where no other window covers the image.
    """
    steps = np.arange(window)
    ramp = np.minimum(np.minimum(steps, steps[::-1]) + 1, overlap + 1).astype("float64")
    total = np.zeros(starts[-1] + window)
    for start in starts:
        total[start : start + window] += ramp
    return np.stack([ramp / total[start : start + window] for start in starts]).astype("float32")


def slide(
    size: Size, window: Size, overlap: Size, score: Callable[[list[Part]], Iterator[np.ndarray]]
) -> Iterator[tuple[Part, np.ndarray]]:
    """Score an image window by window; yield (slices, scores) of each part of the image.

    `size` is (height, width). Neighbouring windows overlap by at least `overlap` (rows, columns).
    `score` is called with the slices of all windows in one row, and yields the scores of each
    window, float32 [*window, C]; these arrays are overwritten. The parts cover each pixel of the
    image once. The scores of a pixel are the weighted mean over all windows that cover it.

    Only the overlap with the next row of windows is kept in memory. Memory therefore depends on the
    size of one window and of one strip across the image, not on the height of the image.
    """
    tops, lefts = (window_starts(*axis) for axis in zip(size, window, overlap, strict=True))
    row_weights = window_weights(tops, window[0], overlap[0])
    column_weights = window_weights(lefts, window[1], overlap[1])
    # Each window's finished part ends where the next window begins.
    bottoms, rights = [*tops[1:], size[0]], [*lefts[1:], size[1]]
    above = None
    for top, bottom, weights in zip(tops, bottoms, row_weights, strict=True):
        done = bottom - top
        below = left_over = None
        parts = [(slice(top, top + window[0]), slice(x, x + window[1])) for x in lefts]
        tiles = zip(lefts, rights, column_weights, score(parts), strict=True)
        for left, right, across, scores in tiles:
            tile = np.multiply(scores, weights[:, None, None] * across[None, :, None], out=scores)
            if left_over is not None:
                tile[:, : left_over.shape[1]] += left_over
            left_over = tile[:, right - left :].copy()
            tile = tile[:, : right - left]
            if above is not None:
                tile[: len(above)] += above[:, left:right]
            if done < window[0]:
                if below is None:
                    below = np.empty((window[0] - done, size[1], scores.shape[-1]), np.float32)
                below[:, left:right] = tile[done:]
            yield (slice(top, bottom), slice(left, right)), tile[:done]
        above = below
