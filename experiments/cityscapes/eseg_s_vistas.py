"""ESeg-S on Cityscapes, pretrained on Mapillary Vistas (section 4.4).

Run `mapillary_vistas/eseg_s` first; its weights are read from runs/mapillary_vistas/eseg_s, or
from `--init_from FOLDER`. Classes that Mapillary Vistas has under the same name, such as road and
car, start from its classifier weights; traffic sign, rider and train start from random weights.
Data: see `cityscapes/eseg_s`.

Row:      Table 7, ESeg-S with pre-training
Command:  eseg train --experiment cityscapes/eseg_s_vistas --data_dir DATA
              --model_dir runs/cityscapes/eseg_s_vistas
Hardware: 8 TPU cores in the paper
Time:     not run
Reported: mean IoU 0.811 on the 500 validation images
Score:    not run: needs the data
"""

from eseg_keras.training import Experiment, derive_experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return derive_experiment(
        "cityscapes/eseg_s",
        init_from="runs/mapillary_vistas/eseg_s",
        steps=None,
        epochs=200,
        learning_rate=0.01,
    )
