"""ESeg-Lite-S on synthetic street scenes: the run that trained the preset `eseg_lite_s_streets`.

Row:      none: not in the paper
Command:  eseg train --experiment street_scenes/eseg_lite_s --model_dir runs/streets
Hardware: two CPU cores, shared with other programs
Time:     40 minutes
Reported: none: the data is synthetic
Score:    mean IoU 0.856 on the 100 validation scenes, 0.859 on the 100 test scenes
"""

from eseg_keras.training import Experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return Experiment(
        preset="eseg_lite_s",
        load_weights=False,
        data="street_scenes",
        train_examples=4000,
        val_examples=100,
        image_size=(192, 384),
        batch_size=8,
        epochs=12,
        scale=(0.8, 1.25),
        learning_rate=0.1,
        warmup_steps=100,
    )
