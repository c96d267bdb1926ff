"""ESeg-M on Cityscapes, pretrained on Mapillary Vistas (section 4.4).

Run `mapillary_vistas/eseg_m` first; its weights are read from runs/mapillary_vistas/eseg_m, or
from `--init_from FOLDER`. Classes that Mapillary Vistas has under the same name, such as road and
car, start from its classifier weights; traffic sign, rider and train start from random weights.
Data: see `cityscapes/eseg_m`.

Row:      Table 7, ESeg-M with pre-training
Command:  eseg train --experiment cityscapes/eseg_m_vistas --data_dir DATA
              --model_dir runs/cityscapes/eseg_m_vistas
Hardware: 8 TPU cores in the paper
Time:     not run
Reported: mean IoU 0.825 on the 500 validation images
Score:    not run: needs the data
"""

from eseg_keras.training import Experiment, derive_experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return derive_experiment(
        "cityscapes/eseg_m",
        init_from="runs/mapillary_vistas/eseg_m",
        steps=None,
        epochs=200,
        learning_rate=0.01,
    )
