"""The training and validation data of an experiment."""

import contextlib
import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from eseg_keras.data import (
    Augmentation,
    CameraVariation,
    Examples,
    FolderExamples,
    balanced_class_weights,
)
from eseg_keras.data.batches import Batches
from eseg_keras.data.datasets import load
from eseg_keras.data.folder_checks import FolderError, differing_palettes
from eseg_keras.data.folder_examples import open_folders
from eseg_keras.data.geometry import resize_long_side
from eseg_keras.data.images.image_reader import MAX_PIXELS, ImageFileError
from eseg_keras.data.mixed_batches import MixedBatches
from eseg_keras.inference.pseudo_labels import check_teacher
from eseg_keras.street_scenes import StreetScenes
from eseg_keras.training.distribution import ONE_DEVICE, Distribution
from eseg_keras.training.experiment import READING, Experiment

_log = logging.getLogger("eseg_keras")

# Number of images that are read to find the typical size.
_MEASURED = 15

# Decoded examples stay in memory, up to this total size, so that they are decoded only once.
_MEMORY_BYTES = 2**30


@dataclasses.dataclass(frozen=True)
class _Resized(Examples):
    """Examples, scaled to a given longer side."""

    examples: Examples
    long_side: int

    def __len__(self):
        return len(self.examples)

    def read(self, index):
        return resize_long_side(*self.examples.read(index), self.long_side)

    def name(self, index):
        return self.examples.name(index)


def open_examples(
    experiment: Experiment,
    split: Literal["train", "validation"],
    data_dir: str | Path | None = None,
    skip_bad_examples: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Examples:
    """Return the examples of a split of an experiment. Street scenes require no `data_dir`."""
    prefix = "train" if split == "train" else "val"
    if experiment.data == "street_scenes":
        count = getattr(experiment, f"{prefix}_examples")
        return StreetScenes(split, count, experiment.image_size, experiment.seed)
    if data_dir is None:
        raise ValueError(f"This experiment reads {experiment.data} from a folder: pass data_dir.")
    long_side = experiment.long_side
    if experiment.data != "folders":
        examples = load(experiment.data, getattr(experiment, f"{prefix}_split"), data_dir)
        return examples if long_side is None else _Resized(examples, long_side)
    if experiment.num_classes is None:
        raise ValueError(
            "The number of classes is missing: set class_names or num_classes in the experiment."
        )
    names = ("class_names", "num_classes", "ignore_label", "long_side", *READING)
    return open_folders(
        Path(data_dir, getattr(experiment, f"{prefix}_images")),
        Path(data_dir, getattr(experiment, f"{prefix}_masks")),
        skip_bad_examples=skip_bad_examples,
        max_pixels=max_pixels,
        **{name: getattr(experiment, name) for name in names},
    )


def typical_long_side(examples: Examples) -> int | None:
    """Return the median of the longer sides of a few images; None if none of them can be read."""
    if examples.image_size is not None:
        return max(examples.image_size)
    sides = []
    for index in np.linspace(0, len(examples) - 1, min(len(examples), _MEASURED)).astype(int):
        with contextlib.suppress(ImageFileError):  # Training skips such images, too.
            sides.append(max(examples.read(int(index))[0].shape[:2]))
    return int(np.median(sides)) if sides else None


def check_classes(examples: FolderExamples, class_names: Sequence[str] | None) -> None:
    """Raise ValueError if the training masks contain fewer than two classes."""
    present = np.flatnonzero(examples.class_counts)
    if len(present) < 2:
        found = ", ".join(str(class_names[k] if class_names else f"class {k}") for k in present)
        raise ValueError(
            f"The training masks contain fewer than two classes ({found or 'none'}): there is "
            "nothing to learn. Expected masks with at least two classes. For black and white "
            "masks, pass two class names, such as class_names=background,object."
        )


def check_palettes(train: FolderExamples, val: FolderExamples, skip_bad_examples: bool) -> None:
    """Raise FolderError if a palette index has different colours in training and validation masks.

    With `skip_bad_examples`, log a warning instead.
    """
    if train.read_mask.reads_colors:
        return
    problems = differing_palettes({**train.summary.palettes, **val.summary.palettes})
    if problems:
        error = FolderError("The training and the validation masks", problems)
        if not skip_bad_examples:
            raise error
        _log.warning("%s", error)


def with_class_map(experiment: Experiment, examples: FolderExamples) -> Experiment:
    """Return the experiment with the class map that the training masks imply.

    For two classes, the training masks decide whether 255 is a class or ignored, for all masks of
    the run.
    """
    if not is_255_open(experiment):
        return experiment
    return dataclasses.replace(experiment, class_map=examples.read_mask.class_map or {255: 255})


def with_training_class_map(experiment: Experiment, data_dir: str | Path | None) -> Experiment:
    """Read the training masks, if there are any; return the experiment with their class map."""
    if experiment.data == "folders" and is_255_open(experiment):
        with contextlib.suppress(FolderError):
            return with_class_map(experiment, open_examples(experiment, "train", data_dir))
    return experiment


def is_255_open(experiment: Experiment) -> bool:
    """Return whether the training masks must decide if 255 is a class or ignored."""
    return (
        (experiment.num_classes, experiment.ignore_label) == (2, 255)
        and experiment.class_map is None
        and experiment.mask_colors is None
        and not experiment.reduce_zero_label
    )


def open_pseudo_labelled(
    experiment: Experiment, data_dir: str | Path | None = None
) -> Examples | None:
    """Return the pseudo-labelled examples; `None` if the experiment has none."""
    if experiment.pseudo_images is None:
        return None
    masks = Path(data_dir or ".", experiment.pseudo_masks)
    check_teacher(masks, experiment.class_names, experiment.num_classes)
    return open_folders(
        Path(data_dir or ".", experiment.pseudo_images),
        masks,
        num_classes=experiment.num_classes,
        ignore_label=experiment.ignore_label,
        long_side=experiment.long_side,
        image_range=experiment.image_range,
        first_frame=experiment.first_frame,
        # Not checked, because the teacher may have predicted only some of the classes.
        check=False,
    )


def training_batches(
    experiment: Experiment,
    examples: Examples,
    distribution: Distribution = ONE_DEVICE,
    skip_bad_examples: bool = False,
    pseudo_labelled: Examples | None = None,
) -> Batches:
    """Return batches of shuffled, augmented crops: images [B, H, W, 3], uint8 masks [B, H, W].

    Half of each batch are `pseudo_labelled` examples, if there are any. If the experiment has class
    weights, batches also contain sample weights [B, H, W].
    """
    augmentation = None
    if experiment.augment:
        augmentation = Augmentation(
            scale=experiment.scale,
            scale_step=experiment.scale_step,
            fill=experiment.pad_color,
            place_at_random=experiment.place_at_random,
            photometric_distortion=experiment.photometric_distortion,
            camera_variation=CameraVariation() if experiment.camera_variation else None,
            ignore_label=experiment.ignore_label,
        )
    class_weights = experiment.class_weights
    if class_weights == "balanced":
        counts = examples.summary.label_counts
        class_weights = balanced_class_weights(counts[: experiment.num_classes])
    options = {
        "image_size": experiment.image_size,
        "batch_size": experiment.batch_size,
        "augmentation": augmentation,
        "seed": experiment.seed,
        "class_weights": class_weights,
        "ignore_label": experiment.ignore_label,
        "cache": _MEMORY_BYTES,
        "skip_bad_examples": skip_bad_examples,
        "shard": distribution.worker,
    }
    drop_remainder = distribution.drops_remainder(
        len(examples), experiment.batch_size, experiment.gradient_accumulation_steps
    )
    if pseudo_labelled is not None:
        return MixedBatches(examples, pseudo_labelled, **options)
    return Batches(
        examples.read,
        len(examples),
        shuffle=True,
        drop_remainder=drop_remainder,
        name_example=examples.name,
        **options,
    )


def validation_batches(
    experiment: Experiment,
    examples: Examples,
    distribution: Distribution = ONE_DEVICE,
    skip_bad_examples: bool = False,
) -> Batches:
    """Return unshuffled batches of uncropped images, one image per device.

    The last batch is padded with unlabelled copies of the last image, which do not affect scores.
    """
    count, size = len(examples), distribution.num_devices

    def read(index):
        if index < count:
            return examples.read(index)
        image, mask = examples.read(count - 1)
        return image, np.full_like(mask, experiment.ignore_label)

    return Batches(
        read,
        -(-count // size) * size,
        image_size=experiment.eval_size,
        batch_size=size,
        seed=experiment.seed,
        ignore_label=experiment.ignore_label,
        name_example=lambda index: examples.name(min(index, count - 1)),
        skip_bad_examples=skip_bad_examples,
        shard=distribution.worker,
    )
