"""ESeg-Lite-S on synthetic street scenes, from random weights: the training of `make demo`.

Row:      none: not in the paper
Command:  eseg train --experiment smoke/street_scenes --model_dir runs/demo
Hardware: two CPU cores
Time:     2 min 27 s
Reported: none: the data is synthetic
Score:    mean IoU 0.708 on the 48 validation scenes
"""

from eseg_keras.training import Experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return Experiment(
        preset="eseg_lite_s",
        load_weights=False,
        data="street_scenes",
        train_examples=1200,
        val_examples=48,
        image_size=(192, 384),
        batch_size=4,
        epochs=3,
        scale=(0.9, 1.2),
        learning_rate=0.05,
        warmup_steps=30,
        # Higher weights for the three thin classes, which have few pixels.
        class_weights=(1, 1, 1, 1, 1, 2, 2, 1.5),
    )
