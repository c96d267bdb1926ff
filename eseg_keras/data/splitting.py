"""Stratified split of examples into two parts."""

import numpy as np


def stratified_split(
    label_counts: np.ndarray, share: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Split examples into two parts with about the same frequency of each class.

    The frequency of a class is the share of examples that contain it. `label_counts` [examples,
    classes] are the pixels of each class. Examples of the rarest class are assigned first, each to
    the part that needs most further examples of the class. `share`, above 0 and below 1, is the
    share of the examples in the second part; each part has at least one example. Return the sorted
    indices of both parts. A single example is in both parts.

    Reference:
        [Sechidis et al., 2011, On the Stratification of Multi-Label
        Data](https://doi.org/10.1007/978-3-642-23808-6_10)
    """
    count = len(label_counts)
    if not count or not 0 < share < 1:
        raise ValueError(
            "stratified_split expects at least one example, and a share above 0 and below 1. "
            f"Received: {count} examples, share={share}"
        )
    if count == 1:
        return np.array([0]), np.array([0])
    has_class = np.asarray(label_counts) > 0
    num_second = min(max(1, round(share * count)), count - 1)
    capacity = np.array([count - num_second, num_second])
    # Number of examples of each class that each part still needs.
    lacking = np.outer(capacity / count, has_class.sum(axis=0))
    order = np.random.default_rng(seed).permutation(count)
    part = np.full(count, -1)
    while (part < 0).any():
        left = order[part[order] < 0]
        remaining = has_class[left].sum(axis=0)
        if remaining.any():
            label = np.argmin(np.where(remaining, remaining, count + 1))
            left = left[has_class[left, label]]
            need = lacking[:, label]
        else:
            need = capacity
        for index in left:
            free = np.flatnonzero(capacity > 0)
            # The part that needs most examples of the class; if equal, the one with more room.
            chosen = max(free, key=lambda side: (need[side], capacity[side]))
            part[index] = chosen
            capacity[chosen] -= 1
            lacking[chosen] -= has_class[index]
    return np.flatnonzero(part == 0), np.flatnonzero(part == 1)
