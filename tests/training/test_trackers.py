"""Experiment trackers without a network connection."""

import shutil
import sys

import keras
import pytest

from eseg_keras.training import Experiment, run, train
from eseg_keras.training.trackers import make_tracker

VALUES = {"preset": "eseg_s", "learning_rate": 0.5, "class_names": None}


def test_the_default_needs_nothing(tmp_path):
    assert make_tracker("tensorboard", tmp_path / "run", VALUES) == []
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="one of wandb, mlflow, tensorboard. Received: 'comet'"):
        make_tracker("comet", tmp_path, VALUES)


def test_a_tracker_that_cannot_be_used_leaves_no_files(tmp_path, monkeypatch):
    experiment = Experiment(data="street_scenes", load_weights=False, train_examples=1)
    with pytest.raises(ValueError, match="tracker must be one of"):
        train(experiment, tmp_path / "run", tracker="comet")
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match="wandb"):
        train(experiment, tmp_path / "run", tracker="wandb")
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_that_cannot_be_used_starts_no_tracker(tmp_path, monkeypatch):
    class Batches(list):
        num_examples = 1

    class Task:
        batches = val_batches = Batches([0])
        shown_batches = None

        def __init__(self, experiment, *_):
            self.experiment = experiment

        def compiled_model(self, num_steps):
            pass

    def latest_checkpoint(directory):
        raise ValueError("of another model")

    started = []
    monkeypatch.setitem(run.TASKS, "segmentation", Task)
    monkeypatch.setattr(run, "latest_checkpoint", latest_checkpoint)
    monkeypatch.setattr(run, "make_tracker", lambda *_: started.append(1) or [])
    with pytest.raises(ValueError, match="of another model"):
        train(Experiment(data="street_scenes"), tmp_path / "run")
    assert not started and not (tmp_path / "run").exists()


def test_mlflow_continues_its_run(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "tracked").as_uri())
    for epoch in range(2):
        # The second tracker is that of a resumed run.
        (callback,) = make_tracker("mlflow", tmp_path / "mine", VALUES)
        assert isinstance(callback, keras.callbacks.Callback)
        callback.on_epoch_end(epoch, {"loss": 2.0 - epoch, "val_mean_iou": 0.25})
    callback.on_train_end()
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("eseg_keras").experiment_id])
    assert run.info.run_name == "mine" and run.info.status == "FINISHED"
    assert run.data.params["preset"] == '"eseg_s"'
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(entry.step, entry.value) for entry in history] == [(1, 2.0), (2, 1.0)]


def test_a_training_goes_on_without_the_server_of_mlflow(tmp_path, monkeypatch, caplog):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "tracked").as_uri())
    (callback,) = make_tracker("mlflow", tmp_path / "mine", VALUES)

    def fail(*_):
        raise mlflow.exceptions.MlflowException("no server")

    monkeypatch.setattr(callback.client, "log_batch", fail)
    monkeypatch.setattr(callback.client, "set_terminated", fail)
    callback.on_epoch_end(1, {"loss": 1.0})
    callback.on_train_end()
    assert "MLflow did not record the scores of epoch 2. The training continues." in caplog.text
    assert "the end of the run" in caplog.text


def test_a_tracker_that_cannot_log_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://here")
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for tracker, message in (
        ("mlflow", "set MLFLOW_TRACKING_URI to .* Received: nowhere://here"),
        ("wandb", "log in with `wandb login`, or set WANDB_MODE=offline"),
    ):
        pytest.importorskip(tracker)
        with pytest.raises(ValueError, match=message):
            make_tracker(tracker, tmp_path / "run", VALUES)
    assert not (tmp_path / "run").exists()
    sys.modules["wandb"].teardown()  # wandb keeps the settings of its first use.


def test_wandb_writes_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    (callback,) = make_tracker("wandb", tmp_path / "mine", VALUES)
    callback.on_epoch_end(0, {"loss": 2.0})
    assert callback.run.summary["loss"] == 2.0 and callback.run.summary["epoch"] == 1
    assert callback.run.config["learning_rate"] == 0.5
    name = callback.run.id
    callback.on_train_end()
    (file,) = (tmp_path / "mine" / "wandb").glob("offline-run-*/*.wandb")
    assert name in file.name
    # The same folder continues the same tracked run, unless the folder was removed.
    (again,) = make_tracker("wandb", tmp_path / "mine", VALUES)
    assert again.run.id == name
    again.on_train_end()
    shutil.rmtree(tmp_path / "mine")
    (other,) = make_tracker("wandb", tmp_path / "mine", VALUES)
    assert other.run.id != name
    other.on_train_end()
