"""Count the pixels of one image by label and prediction."""

import numpy as np


def count_pixels(
    mask: np.ndarray, label_map: np.ndarray, num_classes: int, ignore_label: int, name: str
) -> np.ndarray:
    """Count the labelled pixels of an image by label (row) and predicted class (column).

    Returns int64 [C, C + 1]; the last column holds the pixels whose prediction is the ignore label
    or another value that is not a class. Mask and label map are uint8 [H, W]; a label in the mask
    that is neither a class nor the ignore label is an error, whose message begins with `name`.
    """
    mask, label_map = np.asarray(mask), np.asarray(label_map)
    if mask.shape != label_map.shape or mask.dtype != np.uint8 or label_map.dtype != np.uint8:
        raise ValueError(
            f"{name}: mask and prediction must be uint8 [H, W] of the same size. Received: mask "
            f"{mask.dtype} {list(mask.shape)}, prediction {label_map.dtype} {list(label_map.shape)}"
        )
    # Every pair of values has a cell: faster than masking pixels, and no value is overlooked.
    cells = (mask.astype(np.uint16) << 8) | label_map
    table = np.bincount(cells.ravel(), minlength=1 << 16).reshape(256, 256)

    pixels = table.sum(axis=1)
    pixels[:num_classes] = 0
    if 0 <= ignore_label < 256:
        pixels[ignore_label] = 0
        table[ignore_label] = 0
    if strays := np.flatnonzero(pixels).tolist():
        shown = ", ".join(f"{label} ({pixels[label]:,} pixels)" for label in strays[:8])
        shown += f" and {len(strays) - 8} more" * (len(strays) > 8)
        raise ValueError(
            f"{name}: the mask holds labels that are neither one of the {num_classes} classes (0 "
            f"to {num_classes - 1}) nor ignored ({ignore_label}): {shown}. Map them with the "
            "data's class_map, such as class_map=11:255 to ignore label 11."
        )
    labelled = table[:num_classes]
    unpredicted = labelled[:, num_classes:].sum(axis=1, keepdims=True)
    return np.concatenate([labelled[:, :num_classes], unpredicted], axis=1)
