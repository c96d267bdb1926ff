"""ESeg-Edge-M on CamVid, 11 classes at 360x480, from an ImageNet encoder.

Data: see `camvid/eseg_edge_s`.

The recipe is ours: as in `camvid/eseg_edge_s`, but AdamW with batches of 4 and crops of 288x384,
which needs fewer epochs. The validation images are not cropped.

Row:      none: not in the paper
Command:  eseg train --experiment camvid/eseg_edge_m --data_dir DATA --model_dir runs/edge_m
Hardware: one CPU core, shared with other programs
Time:     about @TIME_M@ hours of processor time
Reported: none: other papers report the 233 test images
Score:    mean IoU @IOU_M@ on the 101 validation images, pixel accuracy @ACC_M@ (eseg_edge_m_camvid)
"""

from eseg_keras.training import Experiment, derive_experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return derive_experiment(
        "camvid/eseg_edge_s",
        preset="eseg_edge_m",
        image_size=(288, 384),
        batch_size=4,
        epochs=36,
        optimizer="adamw",
        learning_rate=6e-4,
        weight_decay=0.02,
        warmup_steps=200,
        ema_decay=0.998,
        val_every=6,
    )
