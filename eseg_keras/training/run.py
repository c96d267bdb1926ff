"""Training an experiment: one script that reads from top to bottom."""

import contextlib
import json
import shutil
import tempfile
from pathlib import Path

import keras

from eseg_keras.inference import evaluation_of
from eseg_keras.training.array_file import read_arrays, write_arrays
from eseg_keras.training.checkpoints import (
    AddMetrics,
    Position,
    checkpoint_files,
    latest_checkpoint,
    restore,
    save_checkpoint,
)
from eseg_keras.training.data import open_examples, training_batches, validation_batches
from eseg_keras.training.distribution import StrategyName, make_distribution
from eseg_keras.training.experiment import Experiment
from eseg_keras.training.interruptions import SaveInEpoch, StopOnNonFiniteLoss, sigterm_flag
from eseg_keras.training.progress import TrainingProgress
from eseg_keras.training.recipe import compile_model, initial_model
from eseg_keras.training.run_files import Log, check_same_experiment, write_config, write_json
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
        return json.loads((model_dir / "metrics.json").read_text("utf-8"))
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

    # The model, where a killed run left it.
    with distribution.scope():
        model = initial_model(experiment)
        scores = compile_model(model, experiment, num_steps)
    checkpoint = latest_checkpoint(model_dir / "checkpoints")
    position = checkpoint.position
    if checkpoint.arrays:
        restore(model, checkpoint)

    # Everything fits: from here on, files are written.
    log = Log(model_dir / "log.csv")
    if distribution.writes:
        write_config(model_dir, experiment, data_dir)
        rows = log.truncate(position.epoch + (position.logs is not None))
    else:
        rows = log.rows()[: position.epoch]
    if position.logs is not None and len(rows) > position.epoch:
        # The epoch was validated and logged before the kill.
        position = Position(position.step, position.epoch + 1)
    best = max((float(row["val_mean_iou"]) for row in rows if row.get("val_mean_iou")), default=-1)
    train_data = distribution.dataset(batches, position.epoch)
    val_data = distribution.dataset(val_batches)
    board = None
    if distribution.writes:
        board = RunBoard(model_dir / "tensorboard", val_batches, position.step)

    def save(position):
        if distribution.writes:
            return save_checkpoint(
                model_dir / "checkpoints", model, position, metrics=distribution.strategy is None
            )

    is_validated = False
    progress = TrainingProgress(num_steps, position.step, experiment.batch_size)
    with sigterm_flag() as leave, progress, _named_errors(batches, val_batches):
        while position.step < num_steps or position.logs is not None:
            epoch, first = position.epoch, position.batch

            # The training of an epoch, or what is left of it.
            if position.logs is None:
                last = min(len(batches), first + num_steps - position.step)
                batches.begin_epoch(epoch)
                history = model.fit(
                    train_data if not first else distribution.dataset(batches, epoch, first),
                    initial_epoch=epoch,
                    epochs=epoch + 1,
                    steps_per_epoch=last - first,
                    shuffle=False,
                    verbose=0,
                    callbacks=[
                        AddMetrics(checkpoint.arrays if first else {}),
                        progress,
                        StopOnNonFiniteLoss(
                            lambda a, b, at=position: _blame(batches, at, a, b, model_dir)
                        ),
                        *([board] if board else []),
                        SaveInEpoch(
                            lambda done, at=position: save(
                                Position(at.step + done, at.epoch, at.batch + done)
                            ),
                            experiment.checkpoint_steps,
                            leave,
                            position.step,
                        ),
                    ],
                ).history
                logs = {name: float(values[-1]) for name, values in history.items()}
                logs["learning_rate"] = float(
                    keras.ops.convert_to_numpy(model.optimizer.learning_rate)
                )
                position = Position(position.step + last - first, epoch, last, logs)
                save(position)

            # Its validation.
            logs = dict(position.logs)
            speed = progress.images_per_second()
            is_last = position.step >= num_steps
            if is_last or (epoch + 1) % experiment.val_every == 0:
                val_logs = model.evaluate(
                    val_data,
                    verbose=0,
                    return_dict=True,
                    callbacks=[progress, SaveInEpoch(save, None, leave, position.step)],
                )
                logs |= {f"val_{name}": float(value) for name, value in val_logs.items()}
                is_validated = is_last
                if logs["val_mean_iou"] > best:
                    best = logs["val_mean_iou"]
                    if distribution.writes:
                        _write_best(model, model_dir / "best.npz")
            if distribution.writes:
                board.write_epoch(model, position.step, logs, speed)
                log.append({"epoch": epoch, **logs})
                progress.print_epoch(epoch, logs, speed)
            position = Position(position.step, epoch + 1)

    # The result.
    with model.averaged_weights():
        if experiment.keep == "best":
            _read_best(model, model_dir / "best.npz")
        if experiment.keep == "best" or not is_validated:
            model.evaluate(val_data, verbose=0)
        metrics = evaluation_of(scores, model.class_names, len(val_examples)).as_dict()
        metrics |= {"epochs": position.epoch, "steps": num_steps, "best_mean_iou": best}
        metrics["skipped"] = sorted(batches.skipped | val_batches.skipped)
        if distribution.writes:
            _save_preset(model, model_dir / "preset")
            write_json(model_dir / "metrics.json", metrics)
            shutil.rmtree(model_dir / "checkpoints")
    return metrics


def is_finished(model_dir: str | Path) -> bool:
    """Tell whether a model directory holds a finished run."""
    return (Path(model_dir) / "metrics.json").is_file()


@contextlib.contextmanager
def _named_errors(*batches):
    """Raise what stopped the reading of an image itself, and not TensorFlow's account of it."""
    try:
        yield
    except Exception as error:
        for one in batches:
            if one.error is not None:
                raise one.error from error
        raise


def _blame(batches, position, first, last, model_dir):
    """Say where the loss went wrong, and what to go back to."""
    names = [
        name
        for batch in range(first, last + 1)
        for name in batches.names(position.epoch, position.batch + batch)
    ]
    step = position.step + last + 1
    saved = checkpoint_files(model_dir / "checkpoints")
    checkpoint = f"The last good checkpoint is {saved[-1]}" if saved else "There is no checkpoint"
    return (
        f"at step {step} (epoch {position.epoch + 1}). Its images: {', '.join(names)}. "
        f"{checkpoint}. Look at the images, lower learning_rate, or set warmup_steps or clip_norm."
    )


def _write_best(model, path):
    with model.averaged_weights():
        arrays = {
            f"{i}/{w.path}": keras.ops.convert_to_numpy(w) for i, w in enumerate(model.weights)
        }
    write_arrays(path, arrays)


def _read_best(model, path):
    # A dictionary keeps the order that it was written in.
    for weight, array in zip(model.weights, read_arrays(path).values(), strict=True):
        weight.assign(array)


def _save_preset(model, directory):
    # Left over from a run that was killed between this and its metrics.
    shutil.rmtree(directory, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".preset.") as temporary:
        model.save_to_preset(Path(temporary) / "preset")
        (Path(temporary) / "preset").rename(directory)
