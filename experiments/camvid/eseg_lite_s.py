"""ESeg-Lite-S on CamVid, 11 classes at 360x480, from random weights.

Data: 367 training and 101 validation photos of the SegNet split, as
    DATA/images/{train,val}/NAME.jpg and DATA/annotations/{train,val}/NAME.png
with label 11 for void.

Command:  eseg train --experiment camvid/eseg_lite_s --data_dir DATA --model_dir runs/camvid
Hardware: two CPU cores
Time:     6 min 48 s
Score:    mean IoU 0.416 on the 101 validation photos (FC-HarDNet and others reach 0.67 on the
          test photos after hundreds of epochs)
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
        label_map={11: 255},
        image_size=(360, 480),
        batch_size=8,
        epochs=10,
        scale=(0.5, 2.0),
        learning_rate=0.05,
        warmup_steps=50,
    )
