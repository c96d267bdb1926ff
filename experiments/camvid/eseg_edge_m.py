"""ESeg-Edge-M on CamVid, 11 classes at 360x480, from an ImageNet encoder.

The settings of `camvid/eseg_edge_s`, with the larger network.
Data: see `camvid/eseg_edge_s`.

Row:      none: not in the paper
Command:  eseg train --experiment camvid/eseg_edge_m --data_dir DATA --model_dir runs/edge_m
Hardware: two CPU cores
Time:     not run
Reported: none: other papers report the 233 test images
Score:    not run: takes hours on two cores
"""

from eseg_keras.training import Experiment, derive_experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return derive_experiment("camvid/eseg_edge_s", preset="eseg_edge_m")
