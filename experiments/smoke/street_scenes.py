"""ESeg-Lite-S on made street scenes, from random weights: the demo.

Command:  eseg train --experiment smoke/street_scenes --model_dir runs/demo
Hardware: two CPU cores
Time:     not run yet (three minutes are the aim)
Score:    not run yet (a mean IoU of 0.7 on held-out scenes is the aim)
"""

from eseg_keras.training import Experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return Experiment(
        preset="eseg_lite_s",
        load_weights=False,
        data="street_scenes",
        train_examples=1120,
        val_examples=48,
        image_size=(192, 384),
        batch_size=8,
        epochs=3,
        scale=(0.9, 1.2),
        learning_rate=0.1,
        warmup_steps=30,
    )
