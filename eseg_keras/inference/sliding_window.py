"""Large images in overlapping windows, blended where they overlap."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

Size = tuple[int, int]
Part = tuple[slice, slice]


def window_starts(length: int, window: int, overlap: int) -> list[int]:
    """Return the first pixels of as few windows as possible, evenly spaced from end to end."""
    count = 1 + -(-(length - window) // (window - overlap))
    return [round(start) for start in np.linspace(0, length - window, count)]


def window_weights(starts: Sequence[int], window: int, overlap: int) -> np.ndarray:
    """Return weights [number of windows, window] that add up to 1 at every pixel.

    A window weighs most in its middle and less towards its ends, where the network sees little
    context, except at the ends of the image, which no other window covers.
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
    """Score an image of a (height, width) window by window, and yield the finished parts.

    Neighbouring windows share at least `overlap` (rows, columns). `score` turns the windows of one
    row, as slices, into scores, float32 [*window, C] each, which are overwritten. The parts are
    slices that together are the image, each pixel once, with the scores there: the weighted mean of
    the windows that cover a pixel. Only a strip as high as the overlap is kept between rows of
    windows: beside the image itself, memory depends on the window and on one strip across the
    image.
    """
    tops, lefts = (window_starts(*axis) for axis in zip(size, window, overlap, strict=True))
    row_weights = window_weights(tops, window[0], overlap[0])
    column_weights = window_weights(lefts, window[1], overlap[1])
    # Where the part begins that no later window covers.
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
