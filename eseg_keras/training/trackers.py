"""Experiment trackers: each a Keras callback that logs the epochs of a run."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import keras

from eseg_keras.files import read_json, write_json
from eseg_keras.optional import require

Tracker = Literal["tensorboard", "wandb", "mlflow"]

_PROJECT = "eseg_keras"


def make_tracker(
    tracker: Tracker, model_dir: Path, values: Mapping[str, object]
) -> list[keras.callbacks.Callback]:
    """Return the callbacks of a tracker; none for TensorBoard, whose files every run writes.

    Args:
        tracker: `"tensorboard"`; `"wandb"`, which logs to the project `eseg_keras` (offline with
            the environment variable WANDB_MODE=offline); or `"mlflow"`, which logs to the
            experiment `eseg_keras` of the server in MLFLOW_TRACKING_URI (a local database needs the
            whole package `mlflow`).
        model_dir: Folder of the run. A resumed run continues the same run of the tracker.
        values: Values of the experiment, logged as the configuration.

    Returns:
        Keras callbacks.

    Raises:
        ValueError: For an unknown name.
        ImportError: If the tracker is not installed.
    """
    kinds = {"wandb": [_WeightsAndBiases], "mlflow": [_MLflow], "tensorboard": []}
    if tracker not in kinds:
        raise ValueError(f"tracker must be one of {', '.join(kinds)}. Received: {tracker!r}")
    return [kind(model_dir, values) for kind in kinds[tracker]]


class _WeightsAndBiases(keras.callbacks.Callback):
    """Log to Weights & Biases."""

    def __init__(self, model_dir, values):
        super().__init__()
        wandb = require("wandb", "wandb")
        model_dir.mkdir(parents=True, exist_ok=True)
        self.run = wandb.init(
            project=_PROJECT,
            name=model_dir.name,
            # The same folder is the same run, also after an interruption.
            id=hashlib.sha256(str(model_dir.resolve()).encode()).hexdigest()[:16],
            resume="allow",
            dir=model_dir,
            config=dict(values),
        )

    def on_epoch_end(self, epoch, logs=None):
        """Log loss and scores."""
        self.run.log({**logs, "epoch": epoch + 1})

    def on_train_end(self, logs=None):
        """Finish the run."""
        self.run.finish()


class _MLflow(keras.callbacks.Callback):
    """Log to MLflow."""

    def __init__(self, model_dir, values):
        super().__init__()
        self.client = require("mlflow", "mlflow").MlflowClient()
        path = model_dir / "mlflow.json"
        if path.is_file():
            self.run_id = read_json(path, "Remove it: the run is then logged as another.")["run_id"]
            return
        found = self.client.get_experiment_by_name(_PROJECT)
        number = found.experiment_id if found else self.client.create_experiment(_PROJECT)
        self.run_id = self.client.create_run(number, run_name=model_dir.name).info.run_id
        for name, value in values.items():
            self.client.log_param(self.run_id, name, json.dumps(value))
        write_json(path, {"run_id": self.run_id})

    def on_epoch_end(self, epoch, logs=None):
        """Log loss and scores."""
        for name, value in logs.items():
            self.client.log_metric(self.run_id, name, value, step=epoch + 1)

    def on_train_end(self, logs=None):
        """Finish the run."""
        self.client.set_terminated(self.run_id)
