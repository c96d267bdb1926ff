"""Large images in windows that overlap, put together with soft seams."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

Size = tuple[int, int]
Part = tuple[slice, slice]


def window_starts(length: int, window: int, overlap: int) -> list[int]:
    """Place windows along one axis: as few as there can be, evenly spaced from end to end.

    Args:
        length: Pixels of the image.
        window: Pixels of a window, at most `length`.
        overlap: Pixels that neighbours share at least, below `window`.

    Returns:
        First pixel of each window.

    Example:

    >>> from eseg_keras.inference.sliding_window import window_starts
    >>> window_starts(100, window=40, overlap=10)
    [0, 30, 60]
    """
    count = 1 + -(-(length - window) // (window - overlap))
    return [round(start) for start in np.linspace(0, length - window, count)]


def window_weights(starts: Sequence[int], window: int, overlap: int) -> np.ndarray:
    """Weigh the windows along one axis, so that at every pixel the weights add up to 1.

    A window counts fully in its middle and less and less towards its ends, where the network sees
    little of what is around, except at the ends of the image, where it is alone.

    Args:
        starts: First pixel of each window.
        window: Pixels of a window.
        overlap: Pixels over which a weight falls.

    Returns:
        float32 array [number of windows, window].
    """
    steps = np.arange(window)
    ramp = np.minimum(np.minimum(steps, steps[::-1]) + 1, overlap + 1).astype("float64")
    total = np.zeros(starts[-1] + window)
    for start in starts:
        total[start : start + window] += ramp
    return np.stack([ramp / total[start : start + window] for start in starts]).astype("float32")


def slide(
    size: Size,
    window: Size,
    overlap: Size,
    score: Callable[[list[Part]], Iterator[np.ndarray]],
) -> Iterator[tuple[Part, np.ndarray]]:
    """Score an image window by window, and give the finished parts one after the other.

    What is kept between windows is as wide as the overlap: beside the image itself, memory depends
    on the window and on one strip across the image.

    Args:
        size: (height, width) of the image.
        window: (height, width) of the windows, at most the image's.
        overlap: (rows, columns) that neighbouring windows share at least, below `window`.
        score: Function of the windows of one row, as slices of rows and of columns, that gives the
            scores of each in turn, float32 [*window, C].

    Yields:
        Slices of rows and columns that together are the image, none twice, and the scores there:
        the weighted mean of the windows that cover a pixel, float32 [h, w, C].
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
            tile = scores * (weights[:, None, None] * across[None, :, None])
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
