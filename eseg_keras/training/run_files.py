"""What a run keeps in its model directory beside weights: its configuration and its log."""

import csv
import dataclasses
import json
from pathlib import Path

from eseg_keras.training.backup import write_json
from eseg_keras.training.experiment import Experiment


def write_config(model_dir: Path, experiment: Experiment, data_dir: str | Path | None) -> None:
    """Write `config.json`: the experiment with every value resolved, and where its data lay."""
    data = None if data_dir is None else str(Path(data_dir).resolve())
    write_json(model_dir / "config.json", {"experiment": _values(experiment), "data_dir": data})


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
    config = json.loads(path.read_text("utf-8"))
    values = {key: _from_json(value) for key, value in config["experiment"].items()}
    return Experiment(**values), config["data_dir"]


def _values(experiment):
    """Every value of an experiment as it looks when read back from JSON."""
    fields = dataclasses.fields(Experiment)
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
    config = json.loads((model_dir / "config.json").read_text("utf-8"))
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


def truncate_log(path: Path, num_epochs: int) -> list[dict[str, str]]:
    """Cut a training log to the epochs that a resumed run does not repeat.

    A kill between the log and the backup of an epoch leaves a row that will be written again.

    Args:
        path: CSV file with a header and one row an epoch; it need not exist.
        num_epochs: Number of finished epochs.

    Returns:
        The rows that stay.
    """
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)[:num_epochs]
    if not rows:
        path.unlink()
        return []
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, reader.fieldnames, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(path)
    return rows
