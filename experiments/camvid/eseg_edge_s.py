"""ESeg-Edge-S on CamVid, 11 classes at 360x480, from an ImageNet encoder.

Data: 367 training and 101 validation images of the SegNet split, as
    DATA/images/{train,val}/NAME.jpg and DATA/annotations/{train,val}/NAME.png
where label 11 means void.

The recipe is ours.

Row:      none: not in the paper
Command:  eseg train --experiment camvid/eseg_edge_s --data_dir DATA --model_dir runs/edge_s
Hardware: two CPU cores, shared with other programs
Time:     about 2.6 hours of processor time
Reported: none: other papers report scores on the 233 test images, such as PP-LiteSeg-T 0.733
              at 720x960
Score:    mean IoU 0.750 on the 101 validation images, pixel accuracy 0.946 (eseg_edge_s_camvid)
"""

from eseg_keras.training import Experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return Experiment(
        preset="eseg_edge_s",
        load_weights=True,
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
        epochs=60,
        augment=True,  # Random scale, crop and flip.
        scale=(0.5, 2.0),
        photometric_distortion=True,
        # Higher weights for thin and rare classes: pole, sign, fence, pedestrian, bicyclist.
        class_weights=(1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 2.0, 1.5, 1.0, 1.5, 1.5),
        loss="ohem",
        ohem_threshold=0.7,
        ohem_min_kept=1 / 16,
        learning_rate=0.05,
        warmup_steps=100,
        momentum=0.9,
        weight_decay=5e-5,
        ema_decay=0.995,
        val_every=5,
        keep="last",
        seed=0,
    )
