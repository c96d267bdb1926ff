"""Files of a run that survive a kill at any moment."""

import json
import os
from pathlib import Path

import keras


def write_json(path: Path, value: object) -> None:
    """Write a JSON file under a temporary name, then rename it, so that it is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(value, indent=2) + "\n", "utf-8")
    os.replace(temporary, path)


def save_weights(model: keras.Model, path: Path) -> None:
    """Write weights and optimizer state under a temporary name, then rename the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"tmp.{path.name}")
    model.save_weights(temporary, overwrite=True)
    os.replace(temporary, path)


def latest_backup(directory: Path) -> tuple[int, Path | None]:
    """Find where a killed run stopped.

    Args:
        directory: Where `Backup` writes.

    Returns:
        The number of finished epochs and the file of that moment: 0 and `None` without one.
    """
    paths = sorted(directory.glob("epoch_*.weights.h5"))
    if not paths:
        return 0, None
    return int(paths[-1].name.removesuffix(".weights.h5").removeprefix("epoch_")), paths[-1]


class Backup(keras.callbacks.Callback):
    """Save weights and optimizer state after every epoch, and keep the latest.

    Keras's `BackupAndRestore` writes weights and epoch to two files, one after the other and in
    place: a kill between the two repeats an epoch, and one within the first loses the run. Here one
    file holds both, the epoch in its name, and appears whole.

    Args:
        directory: Where to write `epoch_NNNNNN.weights.h5`.
    """

    def __init__(self, directory: Path):
        super().__init__()
        self.directory = directory

    def on_epoch_end(self, epoch, logs=None):
        """Write the new file, then remove the old ones."""
        path = self.directory / f"epoch_{epoch + 1:06d}.weights.h5"
        save_weights(self.model, path)
        for old in self.directory.glob("epoch_*.weights.h5"):
            if old != path:
                old.unlink()


class SaveBest(keras.callbacks.Callback):
    """Save weights whenever the mean IoU on the validation images reaches a new best.

    Args:
        path: The file, `*.weights.h5`.
        best: The best mean IoU so far; a resumed run passes that of its log. Defaults to -1.
    """

    def __init__(self, path: Path, best: float = -1.0):
        super().__init__()
        self.path = path
        self.best = best

    def on_epoch_end(self, epoch, logs=None):
        """Compare, and write the file if this epoch is better."""
        if logs["val_mean_iou"] > self.best:
            self.best = float(logs["val_mean_iou"])
            save_weights(self.model, self.path)
