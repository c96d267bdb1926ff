"""Control: EfficientNet-B1 with an FPN decoder from P2 to P9.

The training settings are those of ESeg-S (section 5: "exactly the same training settings").
Data: see `cityscapes/eseg_s`.

Row:      Table 2, P2-P9 FPN
Command:  eseg train --experiment controls/p2_p9_fpn --data_dir DATA
              --model_dir runs/controls/p2_p9_fpn
Hardware: 8 TPU cores in the paper
Time:     not run
Reported: mean IoU 0.791 on the 500 validation images
Score:    not run: needs the data
"""

from eseg_keras.training import Experiment, derive_experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return derive_experiment(
        "cityscapes/eseg_s",
        decoder="fpn",
        max_level=9,
        decoder_channels=96,
        decoder_repeats=1,
    )
