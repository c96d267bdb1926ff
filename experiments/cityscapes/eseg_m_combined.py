"""ESeg-M on Cityscapes with self-training after pretraining (section 4.4).

First create pseudo labels for the images of the coarse set with a trained network; the coarse masks
of this set are not used. The paper does not name the teacher; this command uses ESeg-L:
    eseg pseudo-label DATA/leftImg8bit/train_extra --model_dir runs/cityscapes/eseg_l
        --output DATA/pseudo
Then run `mapillary_vistas/eseg_m`; its weights are read from runs/mapillary_vistas/eseg_m, or from
`--init_from FOLDER`.
Data: see `cityscapes/eseg_m`, and leftImg8bit/train_extra unpacked in DATA.

Row:      Table 7, ESeg-M, combined
Command:  eseg train --experiment cityscapes/eseg_m_combined --data_dir DATA
              --model_dir runs/cityscapes/eseg_m_combined
Hardware: TPU cores in the paper, number not given
Time:     not run
Reported: mean IoU 0.837 on the 500 validation images
Score:    not run: needs the data
"""

from eseg_keras.training import Experiment, derive_experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return derive_experiment(
        "cityscapes/eseg_m",
        init_from="runs/mapillary_vistas/eseg_m",
        # Pseudo-labelled images are half of each batch.
        pseudo_images="leftImg8bit/train_extra",
        pseudo_masks="pseudo/labels",
        # Use 64 replicas: the inherited value of `ohem_min_kept_pixels` is for 2 crops per replica.
        batch_size=128,
        steps=None,
        epochs=1000,
        learning_rate=0.16,
    )
