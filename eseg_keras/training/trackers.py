"""Experiment trackers: Keras callbacks that log each epoch of a run."""

import contextlib
import json
import logging
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import keras

from eseg_keras.files import read_json, write_json
from eseg_keras.optional import require

Tracker = Literal["tensorboard", "wandb", "mlflow"]

_PROJECT = "eseg_keras"

_log = logging.getLogger("eseg_keras")


def make_tracker(
    tracker: Tracker, model_dir: Path, values: Mapping[str, object]
) -> list[keras.callbacks.Callback]:
    """Return the callbacks of a tracker; none for TensorBoard, whose files every run writes.

    Args:
        tracker: `"tensorboard"`; `"wandb"`, which logs to the project `eseg_keras` (offline with
            the environment variable WANDB_MODE=offline); or `"mlflow"`, which logs to the
            experiment `eseg_keras` of the server in MLFLOW_TRACKING_URI (a local database requires
            the package `mlflow` instead of `mlflow-skinny`).
        model_dir: Folder of the run. A resumed run continues the same run in the tracker.
        values: Values of the experiment, logged as the configuration.

    Returns:
        Keras callbacks.

    Raises:
        ValueError: For an unknown name, or if the tracker has no login or no server.
        ImportError: If the tracker is not installed.
    """
    check_tracker(tracker)
    return [kind(model_dir, values) for kind in _KINDS[tracker]]


def check_tracker(tracker: Tracker) -> None:
    """Raise ValueError for an unknown tracker, ImportError for one that is not installed."""
    if tracker not in _KINDS:
        raise ValueError(f"tracker must be one of {', '.join(_KINDS)}. Received: {tracker!r}")
    if _KINDS[tracker]:
        require(tracker, tracker)


def _recorded_run(path):
    """Return the run id in the file `path`, or `None` without the file."""
    if not path.is_file():
        return None
    remedy = "Remove it: the run is then logged as a new run."
    return read_json(path, remedy, {"run_id": str})["run_id"]


class _WeightsAndBiases(keras.callbacks.Callback):
    """Log loss and scores of each epoch to Weights & Biases."""

    def __init__(self, model_dir, values):
        super().__init__()
        wandb = require("wandb", "wandb")
        path = model_dir / "wandb.json"
        run_id = _recorded_run(path)
        try:
            self.run = wandb.init(
                project=_PROJECT,
                name=model_dir.name,
                id=run_id or uuid.uuid4().hex[:16],
                resume="allow",
                dir=model_dir,
                config=dict(values),
            )
        except wandb.Error as error:
            raise ValueError(
                "Weights & Biases cannot log this run: log in with `wandb login`, or set "
                f"WANDB_MODE=offline. Received: {error}"
            ) from error
        if run_id is None:
            write_json(path, {"run_id": self.run.id})

    def on_epoch_end(self, epoch, logs=None):
        """Log loss and scores."""
        self.run.log({**logs, "epoch": epoch + 1})

    def on_train_end(self, logs=None):
        """Finish the run."""
        self.run.finish()


class _MLflow(keras.callbacks.Callback):
    """Log loss and scores of each epoch to MLflow."""

    def __init__(self, model_dir, values):
        super().__init__()
        self.mlflow = mlflow = require("mlflow", "mlflow")
        path = model_dir / "mlflow.json"
        run_id = _recorded_run(path)
        try:
            self.client = mlflow.MlflowClient()
            self.run_id = run_id or self._create_run(model_dir.name, values)
        except mlflow.exceptions.MlflowException as error:
            raise ValueError(
                "MLflow cannot log this run: set MLFLOW_TRACKING_URI to the address of a server, "
                "such as http://localhost:5000, or install the package mlflow for a local "
                f"database. Received: {mlflow.get_tracking_uri()} ({error})"
            ) from error
        if run_id is None:
            write_json(path, {"run_id": self.run_id})

    def _create_run(self, run_name, values):
        """Create a run with its parameters on the server, and return its id."""
        found = self.client.get_experiment_by_name(_PROJECT)
        number = found.experiment_id if found else self.client.create_experiment(_PROJECT)
        run_id = self.client.create_run(number, run_name=run_name).info.run_id
        for name, value in values.items():
            self.client.log_param(run_id, name, json.dumps(value))
        return run_id

    def on_epoch_end(self, epoch, logs=None):
        """Log loss and scores."""
        now = round(1000 * time.time())
        metric = self.mlflow.entities.Metric
        with self._warn_if_it_fails(f"the scores of epoch {epoch + 1}"):
            self.client.log_batch(
                self.run_id, [metric(*item, now, step=epoch + 1) for item in logs.items()]
            )

    def on_train_end(self, logs=None):
        """Finish the run."""
        with self._warn_if_it_fails("the end of the run"):
            self.client.set_terminated(self.run_id)

    @contextlib.contextmanager
    def _warn_if_it_fails(self, what):
        """Log a warning if the server raises an error, so that the training continues."""
        try:
            yield
        except self.mlflow.exceptions.MlflowException as error:
            _log.warning("MLflow did not record %s. The training continues. Error: %s", what, error)


_KINDS = {"wandb": [_WeightsAndBiases], "mlflow": [_MLflow], "tensorboard": []}
