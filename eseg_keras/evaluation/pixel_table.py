"""Count the pixels of one image by label and prediction."""

import numpy as np


def count_pixels(
    mask: np.ndarray, label_map: np.ndarray, num_classes: int, ignore_label: int, name: str
) -> np.ndarray:
    """Count the labelled pixels of an image by label (row) and predicted class (column).

    Return int64 [C, C + 1]; the last column counts pixels whose prediction is not a class. Mask and
    label map are uint8 [H, W]. Raise ValueError, with a message that begins with `name`, if the
    mask has labels that are neither a class nor the ignore label.
    """
    mask, label_map = np.asarray(mask), np.asarray(label_map)
    if mask.shape != label_map.shape or mask.dtype != np.uint8 or label_map.dtype != np.uint8:
        raise ValueError(
            f"{name}: mask and prediction must be uint8 [H, W] of the same size. Received: mask "
            f"{mask.dtype} {list(mask.shape)}, prediction {label_map.dtype} {list(label_map.shape)}"
        )
    # Count all pairs of values: faster than masking pixels, and finds invalid labels.
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
            f"{name}: the mask has labels that are neither one of the {num_classes} classes (0 to "
            f"{num_classes - 1}) nor the ignore label ({ignore_label}): {shown}. Map them with "
            "class_map of the data, such as class_map=11:255 to ignore label 11."
        )
    labelled = table[:num_classes]
    unpredicted = labelled[:, num_classes:].sum(axis=1, keepdims=True)
    return np.concatenate([labelled[:, :num_classes], unpredicted], axis=1)
