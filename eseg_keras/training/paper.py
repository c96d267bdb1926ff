"""Tables 1 to 8, copied from the paper, and our costs and scores of these networks.

Reference:
    [Revisiting Multi-Scale Feature Fusion for Semantic Segmentation](https://arxiv.org/abs/2203.12683)
"""

import dataclasses
import functools
from pathlib import Path
from typing import NamedTuple

from eseg_keras.training.experiment import Experiment
from eseg_keras.training.experiment_files import load_experiment, read_run_notes


class PaperTable(NamedTuple):
    """One table of the paper: a title, and rows {column: text}; missing values are empty.

    Each table has some of these columns: `model`, `input_size` (height x width), `miou` (single
    scale, in percent), `miou_multi_scale`, `miou_extra_data`, `pixel_accuracy`, `params_m`,
    `flops_b`, `fps`, `encoder_width`, `encoder_depth`, `channels`, `repeats`, and `experiment`: the
    name of the experiment that reproduces the row, empty for other authors' networks.
    """

    title: str
    rows: tuple[dict[str, str], ...]


# Title, columns, and rows; "-" is an empty value. Tables without input sizes use 1024x2048. The
# authors of ESeg measured the FPS of ESeg and FasterSeg; the other FPS are the published ones of
# each network (for FasterSeg, its authors published 164).
_TEXTS = {
    1: ("Feature levels, Cityscapes val", "model miou params_m flops_b experiment", """
P2-P5 | 78.3 | 6.4 | 34.3 | controls/p2_p5_bifpn
P2-P7 | 79.5 | 6.6 | 34.5 | controls/p2_p7_bifpn
P2-P9 | 80.1 | 6.9 | 34.5 | cityscapes/eseg_s
"""),
    2: ("Feature fusion networks, Cityscapes val", "model miou flops_b experiment", """
P2-P5 FPN | 78.0 | 39.8 | controls/p2_p5_fpn
P2-P5 BiFPN | 78.3 | 34.3 | controls/p2_p5_bifpn
P2-P9 FPN | 79.1 | 40.0 | controls/p2_p9_fpn
P2-P9 BiFPN | 80.1 | 34.5 | cityscapes/eseg_s
"""),
    3: ("Sizes", "model encoder_width encoder_depth channels repeats experiment", """
ESeg-Lite-S | 0.4 | 0.6 | 64 | 1 | cityscapes/eseg_lite_s
ESeg-Lite-M | 0.6 | 1.0 | 80 | 2 | cityscapes/eseg_lite_m
ESeg-Lite-L | 1.0 | 1.0 | 96 | 3 | cityscapes/eseg_lite_l
ESeg-S | 1.0 | 1.1 | 96 | 4 | cityscapes/eseg_s
ESeg-M | 1.4 | 1.8 | 192 | 5 | cityscapes/eseg_m
ESeg-L | 2.0 | 3.1 | 288 | 6 | cityscapes/eseg_l
"""),
    4: (
        "Large networks, Cityscapes val",
        "model miou miou_multi_scale miou_extra_data params_m flops_b experiment", """
ESeg-S | 80.1 | - | 81.7 | 6.9 | 34.5 | cityscapes/eseg_s
Auto-DeepLab-S | 79.7 | - | - | 10.2 | 333 | -
PSPNet (ResNet-101) | 79.7 | - | - | 65.9 | 2018 | -
OCR (ResNet-101) | 79.6 | - | - | - | - | -
DeepLabV3+ (Xception-71) | 79.6 | - | - | 43.5 | 1445 | -
DeepLabV3+ (ResNeXt-50) | 79.5 | - | 81.4 | - | - | -
DeepLabV3 (ResNet-101) | 78.5 | - | - | 58.0 | 1779 | -
ESeg-M | 81.6 | - | 83.7 | 20.0 | 112 | cityscapes/eseg_m
HRNetV2-W48 | 81.1 | - | - | 65.9 | 747 | -
OCR (HRNet-W48) | 81.1 | - | - | - | - | -
ACNet (ResNet-101) | 80.9 | - | - | - | - | -
Naive-Student | 80.7 | - | 83.4 | 147.3 | 3246 | -
Panoptic-DeepLab (X-71) | 80.5 | - | 82.5 | 46.7 | 548 | -
DeepLabV3 (ResNeSt-101) | - | 80.4 | - | - | - | -
Auto-DeepLab-L | 80.3 | - | - | 44.4 | 695 | -
HRNetV2-W40 | 80.2 | - | - | 45.2 | 493 | -
Auto-DeepLab-M | 80.0 | - | - | 21.6 | 461 | -
DeepLabV3 (ResNeSt-50) | - | 79.9 | - | - | - | -
OCNet (ResNet-101) | 79.6 | - | - | - | - | -
ESeg-L | 82.6 | - | 84.8 | 70.5 | 343 | cityscapes/eseg_l
SegFormer-B5 | 82.4 | - | - | 84.7 | 1460 | -
"""),
    5: (
        "Large networks, ADE20K val",
        "model miou miou_multi_scale pixel_accuracy input_size experiment", """
ESeg-M | 46.0 | - | 81.3 | 520x520 | ade20k/eseg_m
OCR (ResNet-101) | 44.3 | 45.3 | - | - | -
HRNetV2-W48 | 43.1 | 44.2 | - | - | -
Auto-DeepLab-M | - | 42.2 | 81.1 | - | -
PSPNet (ResNet-101) | - | 42.0 | 80.6 | - | -
Auto-DeepLab-S | - | 40.7 | 80.6 | - | -
ESeg-L | 48.2 | - | 81.8 | 520x520 | ade20k/eseg_l
DeepLabV3 (ResNeSt-101) | - | 46.9 | 82.1 | - | -
ACNet (ResNet-101) | - | 45.9 | 82.0 | - | -
OCR (HRNet-W48) | 44.5 | 45.5 | - | - | -
OCNet (ResNet-101) | - | 45.5 | - | - | -
DeepLabV3 (ResNeSt-50) | - | 45.1 | 81.2 | - | -
Auto-DeepLab-L | - | 44.0 | 81.7 | - | -
SETR | 46.3 | - | - | - | -
Swin-S | - | 49.3 | - | - | -
SegFormer-B4 | 50.3 | - | - | - | -
"""),
    6: ("Networks in real time, Cityscapes val", "model miou input_size fps experiment", """
ESeg-Lite-M | 74.0 | 512x1024 | 334 | cityscapes/eseg_lite_m_512
ESeg-Lite-S | 76.0 | 1024x2048 | 189 | cityscapes/eseg_lite_s
FasterSeg | 73.1 | 1024x2048 | 170 | -
DF1-Seg | 74.1 | 768x1536 | 106 | -
BiSeNet-V2 | 73.4 | 512x1024 | 156 | -
DF1-Seg-d8 | 72.4 | 768x1536 | 137 | -
ESeg-Lite-M | 78.6 | 1024x2048 | 125 | cityscapes/eseg_lite_m
DDRNet-23-Slim | 77.8 | 1024x2048 | 109 | -
DF1-Seg2 | 76.9 | 768x1536 | 56 | -
FANet-34 | 76.3 | 1024x2048 | 58 | -
DF1-Seg1 | 75.9 | 768x1536 | 67 | -
BiSeNetV2-L | 75.8 | 512x1024 | 47 | -
SwiftNetRN-18 | 75.4 | 1024x2048 | 40 | -
FANet-18 | 75.0 | 1024x2048 | 72 | -
ESeg-Lite-L | 80.1 | 1024x2048 | 79 | cityscapes/eseg_lite_l
DDRNet-23 | 79.5 | 1024x2048 | 39 | -
"""),
    7: ("Pre-training and self-training, Cityscapes val", "model miou experiment", """
ESeg-S, baseline | 80.1 | cityscapes/eseg_s
ESeg-M, baseline | 81.6 | cityscapes/eseg_m
ESeg-L, baseline | 82.6 | cityscapes/eseg_l
ESeg-S, pre-training | 81.1 | cityscapes/eseg_s_vistas
ESeg-M, pre-training | 82.5 | cityscapes/eseg_m_vistas
ESeg-L, pre-training | 83.8 | cityscapes/eseg_l_vistas
ESeg-S, self-training | 81.4 | cityscapes/eseg_s_pseudo
ESeg-M, self-training | 82.6 | cityscapes/eseg_m_pseudo
ESeg-L, self-training | 83.5 | cityscapes/eseg_l_pseudo
ESeg-S, combined | 81.7 | cityscapes/eseg_s_combined
ESeg-M, combined | 83.7 | cityscapes/eseg_m_combined
ESeg-L, combined | 84.8 | cityscapes/eseg_l_combined
"""),
    8: ("Encoders and decoders, Cityscapes val", "model miou flops_b experiment", """
EfficientNet-B1, BiFPN | 80.1 | 34.5 | cityscapes/eseg_s
EfficientNet-B1, DeepLabV3+ with atrous | 79.4 | 91.8 | controls/b1_deeplab_os16
EfficientNet-B1, DeepLabV3+ | 78.8 | 49.9 | controls/b1_deeplab_os32
ResNet-50, BiFPN | 78.9 | 188.0 | controls/r50_bifpn
ResNet-50, DeepLabV3+ with atrous | 77.8 | 324.3 | controls/r50_deeplab_os16
ResNet-50, DeepLabV3+ | 77.4 | 230.3 | controls/r50_deeplab_os32
"""),
}  # fmt: skip


def _table(title, columns, text):
    names = columns.split()
    rows = []
    for line in text.strip().splitlines():
        cells = [cell.strip() for cell in line.split(" | ")]
        row = {name: cell.strip("-") and cell for name, cell in zip(names, cells, strict=True)}
        rows.append({"input_size": "", **row})
    return PaperTable(title, tuple(rows))


PAPER_TABLES = {number: _table(*entry) for number, entry in _TEXTS.items()}
"""The tables by number."""


class NetworkCosts(NamedTuple):
    """Trainable parameters, and the two counts of multiply-adds of `eseg_keras.models.profile`."""

    params: int
    macs: int
    batched_macs: int


def network_costs(experiment: Experiment, image_size: tuple[int, int]) -> NetworkCosts:
    """Count the parameters and multiply-adds of an experiment's network; no weights are loaded."""
    options = tuple(sorted(experiment.network_arguments().items()))
    return _network_costs(experiment.preset, experiment.num_classes, image_size, options)


@functools.cache
def _network_costs(preset, num_classes, image_size, options):
    from eseg_keras.models import profile

    costs = profile(preset, image_size, num_classes=num_classes, **dict(options))
    return NetworkCosts(costs.trainable_params, costs.macs, costs.batched_macs)


def measured_mean_iou(name: str, runs_dir: str | Path) -> tuple[float | None, str]:
    """Return our score of an experiment and a remark.

    The score is that of the finished run in the folder `name` of `runs_dir`, or else that in the
    docstring of the experiment: the mean IoU from 0 to 1, or `None` if the experiment was not run.
    The remark names the source of the score, and the values in which the run differs from the
    experiment.
    """
    from eseg_keras.training.run_files import is_finished, read_config, read_metrics

    model_dir = Path(runs_dir, name)
    if not is_finished(model_dir):
        return read_run_notes(name).mean_iou, f"from the docstring of {name}"
    ran, _ = read_config(model_dir)
    planned = load_experiment(name)
    fields = [field.name for field in dataclasses.fields(planned)]
    changed = [
        f"{field}={getattr(ran, field, None)}"
        for field in fields
        if getattr(ran, field, None) != getattr(planned, field)
    ]
    remark = f"{model_dir}" + (f", with other settings: {', '.join(changed)}" if changed else "")
    return read_metrics(model_dir, "segmentation").get("mean_iou"), remark
