"""The training script of both tasks: segmentation and classification."""

import contextlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import keras

from eseg_keras.files import DamagedFileError, locked
from eseg_keras.training.callbacks import (
    Preempted,
    RunCallbacks,
    SaveInEpoch,
    StopOnNonFiniteLoss,
    TrainingProgress,
    sigterm_flag,
)
from eseg_keras.training.checkpoints import (
    AddMetrics,
    Position,
    checkpoint_files,
    latest_checkpoint,
    read_arrays,
    restore,
    save_checkpoint,
    wait_for_checkpoint,
    write_arrays,
)
from eseg_keras.training.distribution import StrategyName, make_distribution
from eseg_keras.training.experiment import ClassificationExperiment, Experiment
from eseg_keras.training.run_files import (
    check_same_images,
    check_same_run,
    config_values,
    found_values,
    is_finished,
    read_log,
    read_metrics,
    write_config,
    write_log,
    write_result,
)
from eseg_keras.training.tasks import TASKS
from eseg_keras.training.tensorboard import RunBoard
from eseg_keras.training.trackers import Tracker, check_tracker, make_tracker

# In runs with fewer steps than _SHORT_RUN, the moving statistics of batch normalization still
# depend on their initial values, so they are re-estimated from about _STATISTICS_IMAGES images.
_SHORT_RUN = 500
_STATISTICS_IMAGES = 100
_SCORE = "score"
_BEST_REMEDY = "Remove the run's directory and train again."


def train(
    experiment: Experiment | ClassificationExperiment,
    model_dir: str | Path,
    data_dir: str | Path | None = None,
    strategy: StrategyName = "auto",
    skip_bad_examples: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    tracker: Tracker = "tensorboard",
) -> dict:
    """Run an experiment, or resume it after an interruption.

    To resume, repeat the call: the run continues from the last checkpoint and, on one device, ends
    with the same weights as a run without interruption. On SIGTERM, the run saves its state and
    raises `Preempted`.

    Args:
        experiment: The options of the run, which trains a segmentation network or pretrains an
            encoder by classification.
        model_dir: Folder for the files of the run: `config.json` (the experiment, versions of
            packages, Git commit), `log.csv` (one row per epoch), `tensorboard/`, `checkpoints/`
            (while training), `best.npz` (the weights of the best validation), and at the end
            `metrics.json` and the result: `preset/`, which `ESeg.from_preset` loads, or
            `encoder.weights.h5`, for `encoder_weights` of an experiment.
        data_dir: Folder of the data; not needed for street scenes. For ImageNet, the data directory
            of tensorflow-datasets with the archives in `downloads/manual`.
        strategy: Devices to train on, see `make_distribution`. Defaults to `"auto"`.
        skip_bad_examples: Whether to skip and count unreadable images, instead of raising an error.
        callbacks: Keras callbacks, called as by a single `fit` over all epochs; `on_epoch_end` also
            receives the validation scores. A callback that sets `model.stop_training`, such as
            `EarlyStopping`, ends the run after that epoch. Checkpoints do not contain the state of
            callbacks.
        tracker: Experiment tracker in addition to the TensorBoard files that every run writes, see
            `make_tracker`. Defaults to `"tensorboard"`: no additional tracker.

    Returns:
        The content of `metrics.json`: scores on the validation images. If `model_dir` already
        contains the finished run, nothing is trained.

    Raises:
        ValueError: If the data does not fit the experiment, `model_dir` contains a run with another
            experiment or other data, or the loss is not finite.
        ImportError: If the tracker is not installed.
        FileInUseError: If another process trains in `model_dir`; the message names the process.
        Preempted: After SIGTERM; the state is saved first.

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
    check_tracker(tracker)
    check_same_run(model_dir, experiment, data_dir)
    if is_finished(model_dir):
        return read_metrics(model_dir, experiment.task)
    distribution = make_distribution(strategy, experiment.steps_per_execution)
    with locked(model_dir) if distribution.writes else contextlib.nullcontext():
        if is_finished(model_dir):  # Another process finished the run before this one got the lock.
            return read_metrics(model_dir, experiment.task)
        options = (skip_bad_examples, callbacks, tracker)
        return _train(experiment, model_dir, data_dir, distribution, *options)


def _train(experiment, model_dir, data_dir, distribution, skip_bad_examples, callbacks, tracker):
    keras.utils.set_random_seed(experiment.seed)

    # The data.
    task = TASKS[experiment.task](experiment, data_dir, distribution, skip_bad_examples)
    batches, val_batches = task.batches, task.val_batches
    found = found_values(experiment, task.experiment)
    check_same_images(model_dir, found, batches.num_examples)
    given, experiment = experiment, task.experiment
    num_steps = experiment.steps or experiment.epochs * len(batches)
    if (num_steps % len(batches)) % experiment.steps_per_execution:
        raise ValueError(
            f"The last epoch has {num_steps % len(batches)} of {len(batches)} steps, not a "
            f"multiple of steps_per_execution={experiment.steps_per_execution}: Keras would train "
            "too many steps. Change steps, or steps_per_execution."
        )

    # The model.
    with distribution.scope():
        model = task.compiled_model(num_steps)

    # The state of an interrupted run.
    checkpoints, log = model_dir / "checkpoints", model_dir / "log.csv"
    position, arrays = latest_checkpoint(checkpoints)
    if arrays:
        restore(model, arrays)
    # Drop the rows of epochs that will be repeated.
    trained = position.epoch + (position.logs is not None)
    rows = [row for row in read_log(log) if float(row.get("epoch") or 0) < trained]
    if position.logs is not None and rows and float(rows[-1]["epoch"]) == position.epoch:
        # This epoch is complete: its row was written after its validation.
        position = Position(position.step, position.epoch + 1)
    score = f"val_{task.score}"
    scores = [float(row[score]) for row in rows if row.get(score)]
    best = max(scores or _recorded_score(model_dir / "best.npz"), default=-1.0)

    # All arguments and files are valid: write files and start trackers only from here on.
    board, has_callbacks = None, bool(callbacks)
    if distribution.writes:
        # First, because a tracker without a login or a server raises an error.
        callbacks = [*callbacks, *make_tracker(tracker, model_dir, config_values(experiment))]
        write_config(model_dir, given, data_dir, found, batches.num_examples)
        board = RunBoard(model_dir / "tensorboard", task.shown_batches, position.step)
    user_callbacks = RunCallbacks(callbacks, model, -(-num_steps // len(batches)))

    def save(position, done=0):
        """Write a checkpoint `done` batches after `position`; return whether it exists."""
        step, batch = position.step + done, position.batch + done
        if not distribution.writes:
            # All workers run each step together: this one stops only after another has saved.
            return leave.is_set() and wait_for_checkpoint(checkpoints, step)
        # With a strategy, metrics are sums over all replicas and cannot be restored exactly.
        with_metrics = distribution.strategy is None
        position = Position(step, position.epoch, batch, position.logs)
        save_checkpoint(checkpoints, model, position, with_metrics)
        return True

    def validate(*callbacks):
        """Evaluate the averaged weights; the metrics keep the scores until the next call."""
        logs = model.evaluate(val_data, verbose=0, return_dict=True, callbacks=list(callbacks))
        return {f"val_{name}": float(value) for name, value in logs.items()}

    def validate_epoch(*callbacks):
        """Validate, and write `best.npz` if the score is the best so far."""
        nonlocal best
        with fresh_statistics():
            logs = validate(*callbacks)
            if logs[score] > best:
                best = logs[score]
                if distribution.writes:
                    _write_weights(model_dir / "best.npz", model, best)
        return logs

    fresh_statistics = contextlib.nullcontext
    if num_steps < _SHORT_RUN and distribution.name in ("one_device", "mirrored"):
        fresh_statistics = partial(_fresh_statistics, model, batches, experiment.batch_size)

    # Each epoch: training, a checkpoint, validation, a row of the log.
    data = distribution.dataset(batches, position.epoch)
    val_data = distribution.dataset(val_batches)
    progress = TrainingProgress(num_steps, position.step, experiment.batch_size, position.epoch)
    is_validated = is_stopped = False
    with sigterm_flag() as leave, progress, _reading_errors(batches, val_batches):
        if found and distribution.writes:
            values = ", ".join(f"{name}={value}" for name, value in found.items())
            progress.shown.print(f"Chosen from the training images: {values}")
        user_callbacks.begin_run()
        # SIGTERM stops a validation without saving: the state was saved before the validation.
        leave_validation = SaveInEpoch(lambda done: None, None, leave, 0)
        while position.step < num_steps or position.logs is not None:
            epoch, first = position.epoch, position.batch
            is_validated = False
            if position.logs is None:
                last = min(len(batches), first + num_steps - position.step)
                batches.begin_epoch(epoch)
                history = model.fit(
                    # A resumed epoch trains only on its remaining batches.
                    distribution.dataset(batches, epoch, first) if first else data,
                    initial_epoch=epoch,
                    epochs=epoch + 1,
                    steps_per_epoch=last - first,
                    # The batches are shuffled already.
                    shuffle=False,
                    verbose=0,
                    callbacks=[
                        AddMetrics(arrays if first else {}),
                        StopOnNonFiniteLoss(partial(_cause, batches, position, checkpoints)),
                        progress,
                        *([] if board is None else [board]),
                        user_callbacks,
                        SaveInEpoch(
                            partial(save, position),
                            experiment.checkpoint_steps,
                            leave,
                            position.step,
                        ),
                    ],
                ).history
                logs = {name: float(values[-1]) for name, values in history.items()}
                rate = keras.ops.convert_to_numpy(model.optimizer.learning_rate)
                logs["learning_rate"] = float(rate)
                # A callback may have stopped the epoch before its last batch.
                done = progress.done
                is_stopped = model.stop_training
                position = Position(position.step + done, epoch, first + done, logs)
                is_saved = save(position)
                if leave.is_set() and is_saved:
                    raise Preempted
            else:  # The run was interrupted after the last step of this epoch, before its log row.
                user_callbacks.on_epoch_begin(epoch)
            logs, speed = dict(position.logs), progress.images_per_second()
            is_last = is_stopped or position.step >= num_steps
            if is_last or (epoch + 1) % experiment.val_every == 0:
                logs |= validate_epoch(progress, leave_validation, user_callbacks)
                is_validated = True
            if board is not None:
                board.write_epoch(model, position.step, logs, speed)
                rows.append({"epoch": epoch, **logs})
                write_log(log, rows)
                progress.print_epoch(epoch, logs, speed)
            position = Position(position.step, epoch + 1)
            user_callbacks.end_epoch(epoch, logs)
            if is_stopped or model.stop_training:
                break
        user_callbacks.end_run()
        if not is_validated or has_callbacks:
            # Validate again: the run was interrupted between its last validation and the result, or
            # a callback stopped it after an epoch without validation, or a callback may have
            # changed the weights at the end of the run.
            validate_epoch(leave_validation)

    # The result.
    is_best = experiment.keep == "best"
    with (
        _reading_errors(batches, val_batches),
        model.averaged_weights(),
        contextlib.nullcontext() if is_best else fresh_statistics(),
    ):
        if is_best:
            _read_weights(model_dir / "best.npz", model)
            validate()
        metrics = task.metrics(model)
        metrics |= {"epochs": position.epoch, "steps": position.step, f"best_{task.score}": best}
        metrics["skipped"] = sorted(batches.skipped | val_batches.skipped)
        if distribution.writes:
            write_result(model_dir, task.result, partial(task.save, model), metrics)
    return metrics


@contextlib.contextmanager
def _fresh_statistics(model, batches, batch_size):
    """Context manager: use re-estimated batch normalization statistics, then the old ones again."""
    count = min(len(batches), -(-_STATISTICS_IMAGES // batch_size))
    with model.averaged_weights():
        variables = model.non_trainable_variables
        before = [keras.ops.convert_to_numpy(variable) for variable in variables]
        try:
            model.update_batch_norm(batches.batch(0, number) for number in range(count))
            yield
        finally:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)


@contextlib.contextmanager
def _reading_errors(*all_batches):
    """Context manager: for an unreadable image, raise its error instead of TensorFlow's."""
    try:
        yield
    except Exception as error:
        for batches in all_batches:
            if batches.error is not None:
                raise batches.error from error
        raise


def _cause(batches, position, checkpoints, first, last):
    """Return the end of the message of `NonFiniteLossError`: step, images, latest checkpoint."""
    names = [
        name
        for batch in range(position.batch + first, position.batch + last + 1)
        for name in batches.names(position.epoch, batch)
    ]
    saved = checkpoint_files(checkpoints)
    checkpoint = f"The last good checkpoint is {saved[-1]}" if saved else "There is no checkpoint"
    return (
        f"at step {position.step + last + 1} (epoch {position.epoch + 1}). "
        f"Its images: {', '.join(names)}. {checkpoint}. "
        "Check the images, lower learning_rate, or set warmup_steps or global_clipnorm."
    )


def _write_weights(path, model, score):
    """Write the averaged weights and their score."""
    with model.averaged_weights():
        weights = {
            f"{number}/{weight.path}": keras.ops.convert_to_numpy(weight)
            for number, weight in enumerate(model.weights)
        }
    write_arrays(path, {**weights, _SCORE: score})


def _recorded_score(path):
    """Return a list with the score in `best.npz`; an empty list without file or score."""
    arrays = read_arrays(path) if path.exists() else {}
    return [float(arrays[_SCORE])] if _SCORE in arrays else []


def _read_weights(path, model):
    # The arrays are in the order of `model.weights`, in which they were written.
    arrays = [array for name, array in read_arrays(path).items() if name != _SCORE]
    if [array.shape for array in arrays] != [tuple(weight.shape) for weight in model.weights]:
        raise DamagedFileError(f"{path} is damaged: it does not fit the network. {_BEST_REMEDY}")
    for weight, array in zip(model.weights, arrays, strict=True):
        weight.assign(array)
