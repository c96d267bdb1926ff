"""ESeg-Edge-M on CamVid, 11 classes at 360x480, from an ImageNet encoder.

The settings are those of `camvid/eseg_edge_s`, with the larger network. The preset
`eseg_edge_m_camvid` was trained in three parts with other settings, see runs.csv in this folder.

Data: see `camvid/eseg_edge_s`.

Row:      none: not in the paper
Command:  eseg train --experiment camvid/eseg_edge_m --data_dir DATA --model_dir runs/edge_m
Hardware: two CPU cores
Time:     about 3.5 hours of processor time for the three parts
Reported: none: other papers report scores on the 233 test images
Score:    mean IoU 0.757 on the 101 validation images, pixel accuracy 0.949 (eseg_edge_m_camvid)
"""

from eseg_keras.training import Experiment, derive_experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return derive_experiment("camvid/eseg_edge_s", preset="eseg_edge_m")
