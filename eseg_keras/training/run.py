"""The training script: one function that reads from top to bottom."""

import json
import shutil
import tempfile
from pathlib import Path

import keras

from eseg_keras.inference.evaluation import evaluate
from eseg_keras.losses import CrossEntropy
from eseg_keras.metrics import MeanIoU, PixelAccuracy
from eseg_keras.models import ESeg
from eseg_keras.training.backup import Backup, SaveBest, latest_backup, write_json
from eseg_keras.training.data import experiment_data
from eseg_keras.training.experiment import Experiment
from eseg_keras.training.run_files import check_same_experiment, truncate_log, write_config


def train(
    experiment: Experiment, model_dir: str | Path, data_dir: str | Path | None = None
) -> dict:
    """Run an experiment, or go on where a killed run of it stopped.

    Args:
        experiment: What to train, on what and how.
        model_dir: Where the run keeps its files:
            `config.json` (the experiment), `log.csv` (loss and scores by epoch),
            `best.weights.h5` (best mean IoU on the validation images), `backup/` (while training),
            and at the end `preset/`, which `ESeg.from_preset` loads, and `metrics.json`.
        data_dir: Folder of the data; not needed for street scenes.

    Returns:
        The content of `metrics.json`: scores on the validation images. If the directory holds the
        finished run already, nothing is trained.

    Raises:
        ValueError: If the data does not fit the experiment, or `model_dir` holds a run of another.

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
    keras.utils.set_random_seed(experiment.seed)

    # The data, from the epoch at which a killed run stopped.
    first_epoch, backup = latest_backup(model_dir / "backup")
    train_data = experiment_data(experiment, "train", data_dir, initial_epoch=first_epoch)
    val_data = experiment_data(experiment, "validation", data_dir)

    # The model.
    model = ESeg.from_preset(
        experiment.preset, load_weights=experiment.load_weights, **_labels(experiment)
    )
    model.freeze(*experiment.freeze)
    model.compile(
        optimizer=keras.optimizers.SGD(
            _learning_rate(experiment, num_steps=len(train_data) * experiment.epochs),
            momentum=experiment.momentum,
        ),
        loss=CrossEntropy(ignore_label=experiment.ignore_label),
        metrics=[
            MeanIoU(model.num_classes, ignore_label=experiment.ignore_label),
            PixelAccuracy(model.num_classes, ignore_label=experiment.ignore_label),
        ],
    )

    # Everything fits: from here on, files are written.
    write_config(model_dir, experiment, data_dir)
    if backup is not None:
        model.optimizer.build(model.trainable_variables)
        model.load_weights(backup)
    log = truncate_log(model_dir / "log.csv", first_epoch)
    best = SaveBest(
        model_dir / "best.weights.h5",
        best=max((float(row["val_mean_iou"]) for row in log), default=-1.0),
    )
    model.fit(
        train_data,
        validation_data=val_data,
        initial_epoch=first_epoch,
        epochs=experiment.epochs,
        # The data set shuffles itself; Keras warns if it is asked to as well.
        shuffle=False,
        # The backup comes last: whatever is killed before it is done again.
        callbacks=[
            keras.callbacks.CSVLogger(model_dir / "log.csv", append=True),
            best,
            Backup(model_dir / "backup"),
        ],
    )

    # The result.
    if experiment.keep == "best":
        model.load_weights(best.path)
    metrics = evaluate(model, val_data).as_dict()
    metrics |= {"epochs": experiment.epochs, "best_mean_iou": best.best}
    _save_preset(model, model_dir / "preset")
    write_json(model_dir / "metrics.json", metrics)
    shutil.rmtree(model_dir / "backup")
    return metrics


def is_finished(model_dir: str | Path) -> bool:
    """Tell whether a model directory holds a finished run."""
    return (Path(model_dir) / "metrics.json").is_file()


def _labels(experiment):
    """What the model knows of the classes; a value of `None` keeps the preset's."""
    labels = {"num_classes": experiment.num_classes, "ignore_label": experiment.ignore_label}
    for name in ("class_names", "palette"):
        if getattr(experiment, name) is not None:
            labels[name] = getattr(experiment, name)
    return labels


def _learning_rate(experiment, num_steps):
    """Linear warm-up from zero, then a cosine down to zero at the last step."""
    if experiment.warmup_steps >= num_steps:
        raise ValueError(
            f"warmup_steps={experiment.warmup_steps} leaves nothing of the {num_steps} steps of "
            "this run. Lower it, or raise epochs."
        )
    if not experiment.warmup_steps:
        return keras.optimizers.schedules.CosineDecay(experiment.learning_rate, num_steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        num_steps - experiment.warmup_steps,
        warmup_target=experiment.learning_rate,
        warmup_steps=experiment.warmup_steps,
    )


def _save_preset(model, directory):
    # Left over from a run that was killed between this and its metrics.
    shutil.rmtree(directory, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".preset.") as temporary:
        model.save_to_preset(Path(temporary) / "preset")
        (Path(temporary) / "preset").rename(directory)
