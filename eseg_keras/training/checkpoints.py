"""Checkpoints: files that each contain all state that is needed to resume a run."""

import contextlib
import json
import logging
import time
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from eseg_keras.files import DamagedFileError, atomic_file

_log = logging.getLogger("eseg_keras")

# Number of checkpoints kept: if the latest is damaged, the run resumes from the one before it.
_KEPT = 2


@dataclass(frozen=True)
class Position:
    """Progress of a run.

    Attributes:
        step: Number of completed training steps.
        epoch: Index of the current epoch.
        batch: Number of completed batches of this epoch.
        logs: Training logs of this epoch if it is trained but not validated yet, else `None`.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    logs: dict[str, float] | None = None


def save_checkpoint(
    directory: Path, model: keras.Model, position: Position, metrics: bool = True
) -> Path:
    """Write a checkpoint, remove all except the latest two, and return the path of the new one.

    A checkpoint contains the weights, batch normalization statistics, seeds, the variables of the
    optimizer (momentum, averaged weights, step count) and, within an epoch, the state of the
    metrics. Under a `tf.distribute` strategy the metrics cannot be restored exactly: with
    `metrics=False` they are not saved, and the training scores of a resumed epoch cover only the
    rest of that epoch.
    """
    if keras.backend.backend() == "jax":
        # During `fit` on JAX, the variables do not contain the current state.
        model.jax_state_sync()
    arrays = _arrays(_variables(model))
    # The loss is computed before the update of a step: it may be finite although the updated
    # weights are not.
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError(
            f"The weights are no longer finite after step {position.step}. Earlier checkpoints are "
            "kept. Lower learning_rate, or set warmup_steps or global_clipnorm."
        )
    if metrics and position.logs is None and position.batch:
        arrays |= _arrays(_metric_variables(model))
    arrays["position"] = np.array(json.dumps(asdict(position)))
    path = directory / f"step_{position.step:09d}.npz"
    write_arrays(path, arrays)
    for old in checkpoint_files(directory)[:-_KEPT]:
        old.unlink()
    return path


def checkpoint_files(directory: Path) -> list[Path]:
    """Return the paths of the checkpoints in a folder, the oldest first."""
    return sorted(directory.glob("step_*.npz"))


def latest_checkpoint(directory: Path) -> tuple[Position, dict[str, np.ndarray]]:
    """Return position and arrays of the latest undamaged checkpoint, or the start and no arrays."""
    for path in reversed(checkpoint_files(directory)):
        try:
            arrays = read_arrays(path)
            return Position(**json.loads(str(arrays.pop("position")))), arrays
        except (KeyError, ValueError, TypeError) as error:
            _log.warning("%s cannot be used (%s). Trying the checkpoint before it.", path, error)
    return Position(), {}


def wait_for_checkpoint(directory: Path, step: int, seconds: float = 10.0) -> bool:
    """Wait for the checkpoint of a step, which another worker writes; return whether it exists."""
    end = time.monotonic() + seconds
    while not (directory / f"step_{step:09d}.npz").exists():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def restore(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Restore a compiled model and its optimizer from the arrays of a checkpoint."""
    if not model.optimizer.built:
        # Otherwise Keras would create the variables of the optimizer in the first step.
        on_tensorflow = keras.backend.backend() == "tensorflow"
        with model.distribute_strategy.scope() if on_tensorflow else contextlib.nullcontext():
            model.optimizer.build(model.trainable_variables)
    variables = _variables(model)
    arrays = {k: v for k, v in arrays.items() if not k.startswith("metric/")}
    if different := sorted(variables.keys() ^ arrays.keys()):
        raise ValueError(
            f"The checkpoint belongs to another model or optimizer: {len(different)} variables are "
            f"only in one of the two, such as {different[0]!r}. Train in another directory."
        )
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise ValueError(
                f"The checkpoint belongs to another model: {name!r} has the shape "
                f"{arrays[name].shape} in the checkpoint and {tuple(variable.shape)} in the model. "
                "Train in another directory."
            )
    for name, variable in variables.items():
        variable.assign(arrays[name])


class AddMetrics(keras.callbacks.Callback):
    """Restore the metrics of an interrupted epoch: add the counts saved in a checkpoint.

    The counts are added after the first batch, because Keras creates the variables of the metrics
    in the first step. Adding them late changes nothing, because all these variables are sums.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        super().__init__()
        self.arrays = {k: v for k, v in arrays.items() if k.startswith("metric/")}

    def on_train_batch_end(self, batch, logs=None):
        """Add the saved counts after the first batch."""
        if not self.arrays:
            return
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        for name, variable in _metric_variables(self.model).items():
            value = keras.ops.convert_to_numpy(variable)
            variable.assign((value + self.arrays[name]).astype(value.dtype))
        self.arrays = {}


def _variables(model):
    """Return {name: variable} of the model and its optimizer."""
    groups = {
        "weight": model.trainable_variables,
        "state": model.non_trainable_variables,
        "optimizer": model.optimizer.variables,
    }
    return {f"{group}/{i}": v for group, found in groups.items() for i, v in enumerate(found)}


def _metric_variables(model):
    # Numbered, because Keras puts a counter of the process into the names of these variables; their
    # order is stable.
    return {f"metric/{i}": v for i, v in enumerate(model.metrics_variables)}


def _arrays(variables):
    return {name: keras.ops.convert_to_numpy(v) for name, v in variables.items()}


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write {name: array} to an .npz file, atomically."""
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        # `savez` stores a checksum of each array, which `np.load` verifies.
        np.savez(file, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return {name: array} in the order of writing; raise `DamagedFileError` if damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, OSError) as error:
        raise DamagedFileError(f"{path} is damaged or incomplete: {error}") from error
