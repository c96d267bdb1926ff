"""Control: ESeg-S with levels P2 to P5 only.

The training settings are those of ESeg-S (section 5: "exactly the same training settings").
Data: see `cityscapes/eseg_s`.

Row:      Table 1, P2-P5 (Table 2, P2-P5 BiFPN)
Command:  eseg train --experiment controls/p2_p5_bifpn --data_dir DATA
              --model_dir runs/controls/p2_p5_bifpn
Hardware: 8 TPU cores in the paper
Time:     not run
Reported: mean IoU 0.783 on the 500 validation images
Score:    not run: needs the data
"""

from eseg_keras.training import Experiment, derive_experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return derive_experiment(
        "cityscapes/eseg_s",
        max_level=5,
    )
