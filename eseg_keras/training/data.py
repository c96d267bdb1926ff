"""The images of an experiment."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from eseg_keras.data import Augmentation, build_dataset, from_folders, render_scene
from eseg_keras.training.experiment import Experiment

if TYPE_CHECKING:
    import tensorflow as tf


def experiment_data(
    experiment: Experiment,
    split: Literal["train", "validation"],
    data_dir: str | Path | None = None,
    initial_epoch: int = 0,
) -> "tf.data.Dataset":
    """Build the training or validation data of an experiment.

    Args:
        experiment: The experiment.
        split: `"train"` for shuffled and augmented crops, `"validation"` for whole images, one at
            a time and at their own size.
        data_dir: Folder that holds the experiment's folders; not needed for street scenes.
        initial_epoch: The epoch to begin with, so that a resumed run sees the batches it would
            have seen. Defaults to 0.

    Returns:
        A dataset of (images [B, H, W, 3], uint8 masks [B, H, W]), with sample weights [B, H, W] as
        a third part where the experiment has class weights.

    Raises:
        ValueError: If `data_dir` or the number of classes is missing, or the files do not fit.

    Example:

    >>> from eseg_keras.training import Experiment
    >>> from eseg_keras.training.data import experiment_data
    >>> scenes = Experiment(data="street_scenes", image_size=(64, 128), val_examples=2)
    >>> len(experiment_data(scenes, "validation"))
    2
    """
    training = split == "train"
    options = {"seed": experiment.seed, "ignore_label": experiment.ignore_label}
    augmentation = None
    if training:
        options |= {
            "image_size": experiment.image_size,
            "batch_size": experiment.batch_size,
            "shuffle": True,
            "initial_epoch": initial_epoch,
            "class_weights": experiment.class_weights,
        }
        if experiment.augment:
            augmentation = Augmentation(
                scale=experiment.scale, ignore_label=experiment.ignore_label
            )
    else:
        options |= {"batch_size": 1, "shuffle": False}
    if experiment.data == "street_scenes":
        return build_dataset(
            lambda index: render_scene(index, split, experiment.image_size, experiment.seed),
            experiment.train_examples if training else experiment.val_examples,
            augmentation=augmentation,
            # A scene takes longer to draw than to learn from.
            cache=True,
            **options,
        )
    images, masks = _folders(experiment, training, data_dir)
    return from_folders(
        images,
        masks,
        class_names=experiment.class_names,
        num_classes=experiment.num_classes,
        label_map=experiment.label_map,
        mask_colors=experiment.mask_colors,
        mask_suffix=experiment.mask_suffix,
        reduce_zero_label=experiment.reduce_zero_label,
        long_side=experiment.long_side,
        augment=augmentation or False,
        **options,
    )


def _folders(experiment, training, data_dir):
    if data_dir is None:
        raise ValueError("This experiment reads folders of photos and masks: give --data_dir.")
    if experiment.num_classes is None:
        raise ValueError(
            "The number of classes is missing: set class_names or num_classes in the experiment."
        )
    prefix = "train" if training else "val"
    return [
        Path(data_dir) / getattr(experiment, f"{prefix}_{kind}") for kind in ("images", "masks")
    ]
