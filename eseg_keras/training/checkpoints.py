"""Checkpoints of a run: everything that the rest of the training depends on, in one file."""

import contextlib
import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np

from eseg_keras.training.array_file import ArrayFileError, read_arrays, write_arrays

_log = logging.getLogger("eseg_keras")

# The one before the last is used if the last is damaged.
_KEPT = 2


@dataclass(frozen=True)
class Position:
    """How far a run has come.

    Attributes:
        step: Steps of training done.
        epoch: The epoch of the next step.
        batch: Batches of that epoch that are done.
        logs: What training logged in the epoch before, while its validation is still to come.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    logs: dict[str, float] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read.

    Attributes:
        position: How far the run had come.
        arrays: The variables by name.
    """

    position: Position = field(default_factory=Position)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def save_checkpoint(
    directory: Path, model: keras.Model, position: Position, metrics: bool = True
) -> Path:
    """Write a checkpoint, and remove all but the latest two.

    It holds weights, batch normalisation statistics, seeds, the optimizer with momentum, averages
    and step count, and in the middle of an epoch the state of the metrics.

    Args:
        directory: Folder of the checkpoints.
        model: The model, compiled.
        position: How far the run has come.
        metrics: Whether to keep the state of the metrics. Under a `tf.distribute` strategy it
            cannot be put back exactly, and the scores of an interrupted epoch are those of its
            rest.

    Returns:
        The file.

    Raises:
        OSError: If the file cannot be written; the checkpoints before stay.
        ValueError: If a variable is not finite: a checkpoint is always good to go on from.
    """
    if keras.backend.backend() == "jax":
        # While `fit` runs, the state is not in the variables.
        model.jax_state_sync()
    arrays = {
        name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(model).items()
    }
    # The loss of a step is that before its update: it cannot tell that the update went wrong.
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError(
            f"The weights are no longer finite after step {position.step}. The checkpoints before "
            "it stay. Lower learning_rate, or set warmup_steps or global_clipnorm."
        )
    if metrics and position.logs is None and position.batch:
        arrays |= metric_arrays(model)
    arrays["position"] = np.array(json.dumps(asdict(position)))
    path = directory / f"step_{position.step:09d}.npz"
    write_arrays(path, arrays)
    for old in checkpoint_files(directory)[:-_KEPT]:
        old.unlink()
    return path


def checkpoint_files(directory: Path) -> list[Path]:
    """Return the checkpoints in a folder, the latest last."""
    return sorted(directory.glob("step_*.npz"))


def latest_checkpoint(directory: Path) -> Checkpoint:
    """Read the latest checkpoint that is whole.

    Args:
        directory: Folder of the checkpoints, which need not exist.

    Returns:
        The checkpoint; at the start of the run if there is none.
    """
    for path in reversed(checkpoint_files(directory)):
        try:
            arrays = read_arrays(path)
            position = Position(**json.loads(str(arrays.pop("position"))))
        except (ArrayFileError, KeyError, ValueError, TypeError) as error:
            _log.warning("%s cannot be used (%s). The one before it is.", path, error)
            continue
        return Checkpoint(position, arrays)
    return Checkpoint()


def restore(model: keras.Model, checkpoint: Checkpoint) -> None:
    """Put a model and its optimizer where a checkpoint found them.

    Args:
        model: The model, compiled as it was.
        checkpoint: What `latest_checkpoint` returned, not empty.

    Raises:
        ValueError: If the checkpoint is of another model or optimizer.
    """
    _build_optimizer(model)
    variables = _variables(model)
    arrays = {k: v for k, v in checkpoint.arrays.items() if not k.startswith("metric/")}
    if variables.keys() != arrays.keys():
        different = sorted(variables.keys() ^ arrays.keys())
        raise ValueError(
            f"The checkpoint is of another model or optimizer: {len(different)} variables are only "
            f"in one of them, such as {different[0]!r}. Train in another directory."
        )
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise ValueError(
                f"The checkpoint is of another model: {name!r} is {arrays[name].shape} there and "
                f"{tuple(variable.shape)} here. Train in another directory."
            )
        variable.assign(arrays[name])


class AddMetrics(keras.callbacks.Callback):
    """Add to the metrics of an epoch what they had counted before the run was interrupted.

    Every metric of a run is a sum, so the first steps can be counted before the earlier ones are
    added; their variables need not exist before.

    Args:
        arrays: What `metric_arrays` returned.
    """

    def __init__(self, arrays: dict[str, np.ndarray]):
        super().__init__()
        self.arrays = {k: v for k, v in arrays.items() if k.startswith("metric/")}

    def on_train_batch_end(self, batch, logs=None):
        """Add, once."""
        if not self.arrays:
            return
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        for name, variable in _metric_variables(self.model).items():
            value = keras.ops.convert_to_numpy(variable)
            variable.assign((value + self.arrays[name]).astype(value.dtype))
        self.arrays = {}


def metric_arrays(model: keras.Model) -> dict[str, np.ndarray]:
    """Return the state of a model's metrics by name."""
    return {
        name: keras.ops.convert_to_numpy(variable)
        for name, variable in _metric_variables(model).items()
    }


def _metric_variables(model):
    # By number: the names of metrics' variables are those of layers, counted up in a process.
    return {f"metric/{i}": v for i, v in enumerate(model.metrics_variables)}


def _build_optimizer(model):
    """Make the momentum, which Keras does in the first step."""
    if model.optimizer.built:
        return
    on_tensorflow = keras.backend.backend() == "tensorflow"
    with model.distribute_strategy.scope() if on_tensorflow else contextlib.nullcontext():
        model.optimizer.build(model.trainable_variables)


def _variables(model):
    """Variables of the model and its optimizer by name."""
    named = {}
    groups = {
        "weight": model.trainable_variables,
        "state": model.non_trainable_variables,
        "optimizer": model.optimizer.variables,
    }
    for group, variables in groups.items():
        for number, variable in enumerate(variables):
            named[f"{group}/{number}"] = variable
    return named
