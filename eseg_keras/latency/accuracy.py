"""How accurate each architecture is, as its paper reports it."""

from eseg_keras.presets.catalog import ARCHITECTURES, PRESETS

PAPER_MEAN_IOU = {
    name: size.paper_mean_iou for name, size in ARCHITECTURES.items() if size.paper_mean_iou
}
"""The paper's mean IoU in percent, by architecture. Weights that reach it were not published."""


def paper_mean_iou(preset: str) -> float | None:
    """Return the mean IoU that the paper reports for the architecture of a preset.

    Args:
        preset: Name of a preset.

    Returns:
        Percent, or `None` for sizes that are not the paper's and for directories.

    Example:

    >>> from eseg_keras.latency import paper_mean_iou
    >>> paper_mean_iou("eseg_m")
    81.6

    Reference:
        [Revisiting Multi-Scale Feature Fusion for Semantic Segmentation](https://arxiv.org/abs/2203.12683)
    """
    if preset not in PRESETS:
        return None
    return PAPER_MEAN_IOU.get(PRESETS[preset]["architecture"])
