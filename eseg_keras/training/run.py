"""Training an experiment: one script that reads from top to bottom."""

from pathlib import Path

import keras

from eseg_keras.evaluation import evaluation_of
from eseg_keras.training.data import open_examples, training_batches, validation_batches
from eseg_keras.training.distribution import StrategyName, make_distribution
from eseg_keras.training.experiment import Experiment
from eseg_keras.training.loop import Loop
from eseg_keras.training.recipe import compile_model, initial_model
from eseg_keras.training.run_files import (
    check_same_experiment,
    is_finished,
    read_metrics,
    write_config,
    write_result,
)
from eseg_keras.training.tensorboard import RunBoard


def train(
    experiment: Experiment,
    model_dir: str | Path,
    data_dir: str | Path | None = None,
    strategy: StrategyName = "auto",
    skip_bad_examples: bool = False,
) -> dict:
    """Run an experiment, or go on where a killed run of it stopped.

    Killed at any moment, the same call goes on from the last checkpoint and ends, on one device,
    with the weights of a run that was never killed. After SIGTERM it saves its state first.

    Args:
        experiment: What to train, on what and how.
        model_dir: Where the run keeps its files: `config.json` (the experiment, versions of
            packages, state of the source), `log.csv` (loss and scores by epoch), `tensorboard/`,
            `checkpoints/` (while training), `best.npz` (the weights of the best mean IoU on the
            validation images), and at the end `preset/`, which `ESeg.from_preset` loads, and
            `metrics.json`.
        data_dir: Folder of the data; not needed for street scenes.
        strategy: Devices to train on, see `make_distribution`. Defaults to `"auto"`.
        skip_bad_examples: Whether images that cannot be read are left out and counted, instead of
            an error.

    Returns:
        The content of `metrics.json`: scores on the validation images. If the directory holds the
        finished run already, nothing is trained.

    Raises:
        ValueError: If the data does not fit the experiment, `model_dir` holds a run of another, or
            the loss is not finite.
        Preempted: After SIGTERM, once the state is saved.

    Example:

    >>> import tempfile
    >>> from eseg_keras.training import Experiment, train
    >>> scenes = Experiment(
    ...     data="street_scenes", load_weights=False, image_size=(64, 128), batch_size=2,
    ...     epochs=1, train_examples=2, val_examples=1)
    >>> train(scenes, tempfile.mkdtemp())["num_images"]
    1
    """
    model_dir = Path(model_dir)
    check_same_experiment(model_dir, experiment)
    if is_finished(model_dir):
        return read_metrics(model_dir)
    distribution = make_distribution(strategy, experiment.steps_per_execution)
    keras.utils.set_random_seed(experiment.seed)

    # The data.
    examples, val_examples = (
        open_examples(experiment, split, data_dir, skip_bad_examples)
        for split in ("train", "validation")
    )
    batches = training_batches(experiment, examples, distribution, skip_bad_examples)
    val_batches = validation_batches(experiment, val_examples, distribution, skip_bad_examples)
    num_steps = experiment.steps or experiment.epochs * len(batches)

    # The model.
    with distribution.scope():
        model = initial_model(experiment)
        scores = compile_model(model, experiment, num_steps)

    # Everything fits: from here on, files are written.
    board = None
    if distribution.writes:
        write_config(model_dir, experiment, data_dir)
        board = RunBoard(model_dir / "tensorboard", val_batches)
    loop = Loop(
        model=model,
        batches=batches,
        val_batches=val_batches,
        distribution=distribution,
        model_dir=model_dir,
        num_steps=num_steps,
        score="mean_iou",
        val_every=experiment.val_every,
        checkpoint_steps=experiment.checkpoint_steps,
        board=board,
    )
    epochs, best = loop.run()

    # The result.
    with model.averaged_weights():
        if experiment.keep == "best":
            loop.read_best()
        metrics = evaluation_of(scores, model.class_names, len(val_examples)).summary()
        metrics |= {"epochs": epochs, "steps": num_steps, "best_mean_iou": best}
        metrics["skipped"] = sorted(batches.skipped | val_batches.skipped)
        if distribution.writes:
            write_result(model_dir, "preset", model.save_to_preset, metrics)
    return metrics
