"""ESeg-Lite-S on CamVid, 11 classes at 360x480, distilled from ESeg-Edge-S.

Data: see `camvid/eseg_edge_s`. The teacher, `eseg_edge_s_camvid`, comes with
`pip install ./weights/camvid`; it was trained on the same training images. Only the teacher's
encoder was pretrained on ImageNet.

The recipe is ours: training starts from weights for synthetic street scenes, with AdamW, batches of
4 and crops of 288x384. Settings that this file does not contain are those of `camvid/eseg_edge_s`.

Row:      none: not in the paper
Command:  eseg train --experiment camvid/eseg_lite_s_distill --data_dir DATA
              --model_dir runs/lite_s
Hardware: one CPU core, shared with other programs
Time:     about 1.6 hours of processor time
Reported: none: other papers report scores on the 233 test images
Score:    mean IoU 0.659 on the 101 validation images, pixel accuracy 0.921; 0.671 after two more
          parts (eseg_lite_s_camvid, see runs.csv in this folder)
"""

from eseg_keras.training import Experiment, derive_experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return derive_experiment(
        "camvid/eseg_edge_s",
        preset="eseg_lite_s",
        load_weights=False,
        init_from="eseg_lite_s_streets",
        teacher="eseg_edge_s_camvid",
        image_size=(288, 384),
        batch_size=4,
        epochs=76,
        optimizer="adamw",
        learning_rate=2e-3,
        weight_decay=0.02,
        warmup_steps=300,
        ema_decay=0.998,
        val_every=8,
    )
