"""How accurate each architecture is, as its paper reports it."""

from eseg_keras.presets.catalog import PRESETS

# Percent on Cityscapes val at 1024x2048, without extra data: Table 4 (S, M, L), Table 6 (Lite).
PAPER_MEAN_IOU = {
    "eseg_lite_s": 76.0,
    "eseg_lite_m": 78.6,
    "eseg_lite_l": 80.1,
    "eseg_s": 80.1,
    "eseg_m": 81.6,
    "eseg_l": 82.6,
}
"""The paper's mean IoU in percent, by architecture. Weights that reach it were not published."""


def paper_mean_iou(preset: str) -> float | None:
    """Return the mean IoU that the paper reports for the architecture of a preset.

    Args:
        preset: Name of a preset.

    Returns:
        Percent, or `None` for sizes that are not the paper's and for directories.

    Example:

    >>> from eseg_keras.benchmark import paper_mean_iou
    >>> paper_mean_iou("eseg_m")
    81.6

    Reference:
        [Revisiting Multi-Scale Feature Fusion for Semantic Segmentation](https://arxiv.org/abs/2203.12683)
    """
    if preset not in PRESETS:
        return None
    return PAPER_MEAN_IOU.get(PRESETS[preset]["architecture"])
