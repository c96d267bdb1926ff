"""What a run keeps in its model directory beside weights: its configuration and its log."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from eseg_keras.files import atomic_file, read_csv, read_json, write_csv, write_json
from eseg_keras.training.experiment import Experiment
from eseg_keras.training.provenance import provenance


def write_config(model_dir: Path, experiment: Experiment, data_dir: str | Path | None) -> None:
    """Write `config.json`: the experiment with every value resolved, and where it runs.

    A run that goes on keeps what was true at its start.
    """
    if (model_dir / "config.json").is_file():
        return
    data = None if data_dir is None else str(Path(data_dir).resolve())
    config = {"experiment": _values(experiment), "data_dir": data, "provenance": provenance()}
    write_json(model_dir / "config.json", config)


def read_config(model_dir: str | Path) -> tuple[Experiment, str | None]:
    """Read the experiment of a run and where its data lay.

    Args:
        model_dir: Model directory of a run.

    Returns:
        The experiment, and the data directory or `None`.

    Raises:
        ValueError: If the directory holds no run.
    """
    path = Path(model_dir) / "config.json"
    if not path.is_file():
        raise ValueError(f"{model_dir} holds no run of `eseg train`: {path} is missing.")
    config = _read_config_file(path)
    values = {key: _from_json(value) for key, value in config["experiment"].items()}
    known = {field.name for field in dataclasses.fields(Experiment)}
    if unknown := sorted(set(values) - known):
        raise ValueError(
            f"{path} is not of a segmentation run that this version can read: it has {unknown[0]}."
        )
    return Experiment(**values), config["data_dir"]


def _read_config_file(path):
    """Read a `config.json` with its two fields checked."""
    remedy = "Restore it, or remove the run's directory and train again."
    return read_json(path, remedy, {"experiment": dict, "data_dir": (str, type(None))})


def _values(experiment):
    """Every value of an experiment as it looks when read back from JSON."""
    fields = dataclasses.fields(experiment)
    values = {field.name: _to_json(getattr(experiment, field.name)) for field in fields}
    return json.loads(json.dumps(values))


def _to_json(value):
    # JSON knows only texts as keys: 11 becomes "11", a colour (0, 0, 128) becomes "0,0,128".
    if isinstance(value, dict):
        return {str(key).strip("()").replace(" ", ""): item for key, item in value.items()}
    return value


def _from_json(value):
    if isinstance(value, list):
        return tuple(_from_json(item) for item in value)
    if isinstance(value, dict):
        parts = {key: tuple(map(int, key.split(","))) for key in value}
        return {(p if len(p) > 1 else p[0]): value[key] for key, p in parts.items()}
    return value


def check_same_experiment(model_dir: Path, experiment: Experiment) -> None:
    """Refuse to go on in a directory that holds a run of another experiment.

    Args:
        model_dir: Model directory, which need not exist.
        experiment: The experiment about to be run.

    Raises:
        ValueError: If the directory holds a run with other values, naming them.
    """
    if not (model_dir / "config.json").is_file():
        return
    config = _read_config_file(model_dir / "config.json")
    there, here = config["experiment"], _values(experiment)
    changed = [
        f"{name} ({there.get(name)} there, {here[name]} here)"
        for name in here
        if there.get(name) != here[name]
    ]
    if changed:
        raise ValueError(
            f"{model_dir} holds a run of another experiment: {', '.join(changed)}. "
            "Choose another --model_dir, or remove that one."
        )


def is_finished(model_dir: str | Path) -> bool:
    """Tell whether a model directory holds a finished run."""
    return (Path(model_dir) / "metrics.json").is_file()


def read_metrics(model_dir: Path) -> dict[str, object]:
    """Return the metrics of a finished run."""
    remedy = "Remove it, and run the same command again."
    return read_json(model_dir / "metrics.json", remedy)


def write_result(
    model_dir: Path, name: str, save: Callable[[Path], None], metrics: dict[str, object]
) -> None:
    """Write what a run leaves, with which it is finished, and remove its checkpoints.

    Args:
        model_dir: Model directory.
        name: What the saved file or folder is to be called.
        save: Function that saves it under a path.
        metrics: Content of `metrics.json`.
    """
    target = model_dir / name
    # Left by a run that was killed before it wrote its metrics.
    if target.is_dir():
        shutil.rmtree(target)
    with atomic_file(target) as temporary:
        save(temporary)
    write_json(model_dir / "metrics.json", metrics)
    shutil.rmtree(model_dir / "checkpoints")


class Log:
    """The log of a run, a CSV file with a row an epoch.

    Args:
        path: The file, which need not exist.
    """

    def __init__(self, path: Path):
        self.path = path

    def rows(self) -> list[dict[str, str]]:
        """Return the rows, the last of which may be torn."""
        if not self.path.is_file():
            return []
        return read_csv(self.path, "Remove it: the run then resumes with a new log.")

    def truncate(self, num_epochs: int) -> list[dict[str, str]]:
        """Cut the log to the epochs that a run which goes on does not repeat.

        Args:
            num_epochs: Number of finished epochs.

        Returns:
            The rows that stay.
        """
        rows = self.rows()[:num_epochs]
        self._write(rows)
        return rows

    def append(self, row: dict[str, float]) -> None:
        """Add a row. Values that this epoch lacks, such as those of a validation, stay empty."""
        self._write([*self.rows(), row])

    def _write(self, rows):
        if not rows:
            self.path.unlink(missing_ok=True)
            return
        names = list(dict.fromkeys(name for row in rows for name in row))
        write_csv(self.path, names, ([row.get(name, "") for name in names] for row in rows))
