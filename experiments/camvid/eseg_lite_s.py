"""ESeg-Lite-S on CamVid, 11 classes at 360x480, from random weights.

Data: 367 training and 101 validation images of the SegNet split, as
    DATA/images/{train,val}/NAME.jpg and DATA/annotations/{train,val}/NAME.png
where label 11 means void.

Batch size and learning rate are half of the paper's; weight decay, momentum, scales and flips are
those of the paper. Ours: OHEM in each image with threshold 0.7, warm-up, EMA decay, epochs, and the
colour distortion (because there are few images).

Row:      none: not in the paper
Command:  eseg train --experiment camvid/eseg_lite_s --data_dir DATA --model_dir runs/camvid
Hardware: two CPU cores, shared with other programs
Time:     57 minutes
Reported: none: other papers report scores on the 233 test images, such as SegNet 0.464 and
              FC-HarDNet-84 0.677 from random weights
Score:    mean IoU 0.551 on the 101 validation images, pixel accuracy 0.903
"""

from eseg_keras.training import Experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return Experiment(
        preset="eseg_lite_s",
        load_weights=False,
        class_names=(
            "sky",
            "building",
            "pole",
            "road",
            "pavement",
            "tree",
            "sign",
            "fence",
            "car",
            "pedestrian",
            "bicyclist",
        ),
        palette=(
            (128, 128, 128),
            (128, 0, 0),
            (192, 192, 128),
            (128, 64, 128),
            (60, 40, 222),
            (128, 128, 0),
            (192, 128, 128),
            (64, 64, 128),
            (64, 0, 128),
            (64, 64, 0),
            (0, 128, 192),
        ),
        data="folders",
        class_map={11: 255},
        image_size=(360, 480),
        batch_size=8,
        epochs=50,
        augment=True,  # Random scale, crop and flip.
        scale=(0.5, 2.0),
        photometric_distortion=True,
        loss="ohem",
        ohem_threshold=0.7,
        ohem_min_kept=1 / 16,
        learning_rate=0.04,
        warmup_steps=100,
        momentum=0.9,
        weight_decay=5e-5,
        ema_decay=0.9998,
        val_every=5,
        keep="last",
        seed=0,
    )
