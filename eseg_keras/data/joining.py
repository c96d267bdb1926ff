"""Examples to a batch."""

from collections.abc import Sequence

import numpy as np


def join_examples(
    examples: Sequence[tuple[np.ndarray, ...]], padding: Sequence[int]
) -> tuple[np.ndarray, ...]:
    """Join examples to a batch, filled up to the largest where they differ in size.

    Args:
        examples: Tuples of arrays, all with as many: [H, W] or [H, W, C], with a height and a width
            for each example.
        padding: What fills the arrays at the right and at the bottom, a value for each.

    Returns:
        The arrays [B, H, W] or [B, H, W, C].

    Example:

    >>> import numpy as np
    >>> from eseg_keras.data.joining import join_examples
    >>> (masks,) = join_examples([(np.zeros((1, 2)),), (np.zeros((1, 1)),)], padding=[7])
    >>> masks.tolist()
    [[[0.0, 0.0]], [[0.0, 7.0]]]
    """
    sizes = np.array([arrays[0].shape[:2] for arrays in examples])
    columns = zip(*examples, strict=True)
    if (sizes == sizes[0]).all():
        return tuple(map(np.stack, columns))
    batch = []
    for arrays, value in zip(columns, padding, strict=True):
        shape = (len(arrays), *sizes.max(axis=0), *arrays[0].shape[2:])
        batch.append(np.full(shape, value, arrays[0].dtype))
        for whole, array in zip(batch[-1], arrays, strict=True):
            whole[: array.shape[0], : array.shape[1]] = array
    return tuple(batch)
