"""Control: ResNet-50 with the decoder of ESeg-S.

The training settings are those of ESeg-S (section 5: "exactly the same training settings").
Data: see `cityscapes/eseg_s`.

ResNet-50 is v1 from keras.applications, because its ImageNet weights are public. In v1, the first
1x1 convolution of a stage has the stride. The published FLOPs fit v1.5, in which the 3x3
convolution has the stride.

Row:      Table 8, ResNet-50 + BiFPN
Command:  eseg train --experiment controls/r50_bifpn --data_dir DATA
              --model_dir runs/controls/r50_bifpn
Hardware: 8 TPU cores in the paper
Time:     not run
Reported: mean IoU 0.789 on the 500 validation images
Score:    not run: needs the data
"""

from eseg_keras.training import Experiment, derive_experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return derive_experiment(
        "cityscapes/eseg_s",
        encoder="resnet50",
    )
