"""Pretraining an encoder by classifying images."""

from pathlib import Path

import keras

from eseg_keras.data.classification import ClassificationBatches, class_folders, imagenet2012
from eseg_keras.models import Classifier
from eseg_keras.models.classifier import LabelCrossEntropy
from eseg_keras.training.classification_experiment import ClassificationExperiment
from eseg_keras.training.distribution import Distribution, StrategyName, make_distribution
from eseg_keras.training.loop import Loop
from eseg_keras.training.recipe import learning_rate
from eseg_keras.training.run_files import (
    check_same_experiment,
    is_finished,
    read_metrics,
    write_config,
    write_result,
)
from eseg_keras.training.tensorboard import RunBoard

ENCODER_FILE = "encoder.weights.h5"


def pretrain(
    experiment: ClassificationExperiment,
    model_dir: str | Path,
    data_dir: str | Path,
    strategy: StrategyName = "auto",
    skip_bad_examples: bool = False,
) -> dict:
    """Run a pretraining, or go on where a killed run of it stopped, see `train`.

    Args:
        experiment: What to train, on what and how.
        model_dir: Where the run keeps its files, as those of `train`; at the end
            `encoder.weights.h5`, which an experiment's `encoder_weights` takes.
        data_dir: Data directory of tensorflow-datasets with ImageNet's archives in
            `downloads/manual`, or the folder that holds the class folders.
        strategy: Devices to train on, see `make_distribution`. Defaults to `"auto"`.
        skip_bad_examples: Whether images that cannot be read are left out and counted, instead of
            an error.

    Returns:
        The content of `metrics.json`: accuracy and loss on the validation images.

    Raises:
        ValueError: If the data does not fit the experiment, `model_dir` holds a run of another, or
            the loss is not finite.
        Preempted: After SIGTERM, once the state is saved.
    """
    model_dir = Path(model_dir)
    check_same_experiment(model_dir, experiment)
    if is_finished(model_dir):
        return read_metrics(model_dir)
    distribution = make_distribution(strategy, experiment.steps_per_execution)
    keras.utils.set_random_seed(experiment.seed)

    # The data.
    examples, val_examples = _open(experiment, data_dir)
    batches, val_batches = (
        _batches(experiment, part, distribution, skip_bad_examples, training=part is examples)
        for part in (examples, val_examples)
    )
    num_steps = experiment.steps or experiment.epochs * len(batches)

    # The model.
    with distribution.scope():
        model = Classifier(
            experiment.encoder,
            num_classes=experiment.num_classes or len(examples.class_names),
            channels=experiment.channels,
            activation=experiment.activation,
            dropout=experiment.dropout,
            dtype=experiment.mixed_precision and f"mixed_{experiment.mixed_precision}",
        )
        model.compile(
            keras.optimizers.SGD(learning_rate(experiment, num_steps), experiment.momentum),
            loss=LabelCrossEntropy(label_smoothing=experiment.label_smoothing),
            weight_decay=experiment.weight_decay,
            ema_decay=experiment.ema_decay,
            global_clipnorm=experiment.global_clipnorm,
            gradient_accumulation_steps=experiment.gradient_accumulation_steps,
            steps_per_execution=experiment.steps_per_execution,
        )

    # Everything fits: from here on, files are written.
    board = None
    if distribution.writes:
        write_config(model_dir, experiment, data_dir)
        board = RunBoard(model_dir / "tensorboard")
    loop = Loop(
        model=model,
        batches=batches,
        val_batches=val_batches,
        distribution=distribution,
        model_dir=model_dir,
        num_steps=num_steps,
        score="accuracy",
        val_every=experiment.val_every,
        checkpoint_steps=experiment.checkpoint_steps,
        board=board,
    )
    epochs, best = loop.run()

    # The result.
    with model.averaged_weights():
        if experiment.keep == "best":
            loop.read_best()
        metrics = {name: float(value) for name, value in model.get_metrics_result().items()}
        metrics |= {"num_images": len(val_examples), "epochs": epochs, "steps": num_steps}
        metrics |= {"best_accuracy": best, "skipped": sorted(batches.skipped | val_batches.skipped)}
        if distribution.writes:
            write_result(model_dir, ENCODER_FILE, model.save_encoder_weights, metrics)
    return metrics


def _open(experiment, data_dir):
    """Training and validation examples."""
    if data_dir is None:
        raise ValueError(f"Where is {experiment.data}? Give --data_dir.")
    if experiment.data == "imagenet2012":
        train, val = (imagenet2012(data_dir, split) for split in ("train", "validation"))
    else:
        train = class_folders(Path(data_dir) / experiment.train_images)
        # A class without validation photos keeps its number.
        val = class_folders(Path(data_dir) / experiment.val_images, train.class_names)
    found = len(train.class_names)
    if experiment.num_classes not in (None, found):
        raise ValueError(
            f"num_classes={experiment.num_classes}, but the images have {found} classes. "
            "Leave num_classes out."
        )
    return train, val


def _batches(
    experiment: ClassificationExperiment,
    examples,
    distribution: Distribution,
    skip_bad_examples: bool,
    training: bool,
) -> ClassificationBatches:
    size = experiment.batch_size
    if size % distribution.num_devices:
        raise ValueError(
            f"batch_size={size} cannot be divided over {distribution.num_devices} devices. "
            f"Choose a multiple of {distribution.num_devices}."
        )
    parts = experiment.gradient_accumulation_steps if training else 1
    return ClassificationBatches(
        examples,
        experiment.image_size,
        batch_size=size,
        augment=training,
        shuffle=training,
        seed=experiment.seed,
        # Of the validation images, too: a rest that devices cannot share is not scored.
        drop_remainder=not distribution.can_share(len(examples) % size, parts),
        skip_bad_examples=skip_bad_examples,
        shard=distribution.worker,
    )
