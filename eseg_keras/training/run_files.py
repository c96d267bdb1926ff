"""Files of a run other than weights: configuration, log, metrics."""

import dataclasses
import json
import platform
import shutil
import subprocess
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from eseg_keras.files import (
    DamagedFileError,
    atomic_file,
    read_csv,
    read_json,
    write_csv,
    write_json,
)
from eseg_keras.machine import installed_version
from eseg_keras.training.experiment import ClassificationExperiment, Experiment
from eseg_keras.version import __version__

_PACKAGES = (
    "keras", "tensorflow", "tensorflow-cpu", "jax", "torch", "numpy", "pillow", "h5py",
    "tensorflow-datasets",
)  # fmt: skip
_CONFIG_REMEDY = "Restore it, or remove the run's directory and train again."
# Types of the entries of metrics.json that are not numbers, and types of the items of an entry.
_BY_NAME = (dict, int | float | None)
_KINDS = {
    "per_class_iou": _BY_NAME,
    "per_class_accuracy": _BY_NAME,
    "categories": _BY_NAME,
    "skipped": (list, str),
}
AnyExperiment = Experiment | ClassificationExperiment


def write_config(
    model_dir: Path,
    experiment: AnyExperiment,
    data_dir: str | Path | None,
    found: Mapping[str, object] | None = None,
    num_examples: int | None = None,
) -> None:
    """Write experiment, data directory, versions and machine to `config.json`, unless it exists.

    `found` contains the values that were chosen from the data, see `found_values`; `num_examples`
    is the number of training examples.
    """
    if (model_dir / "config.json").exists():
        return
    config = {
        "task": experiment.task,
        "experiment": config_values(experiment),
        "data_dir": _absolute(data_dir),
        "found": dict(found or {}),
        "num_examples": num_examples,
        "provenance": provenance(),
    }
    write_json(model_dir / "config.json", config)


def found_values(experiment: AnyExperiment, completed: AnyExperiment) -> dict[str, object]:
    """Return the values chosen from the data: those that `completed` changes in `experiment`."""
    given = config_values(experiment)
    return {name: new for name, new in config_values(completed).items() if new != given[name]}


def read_config(model_dir: str | Path) -> tuple[AnyExperiment, str | None]:
    """Read the experiment and the data directory of a run from its `config.json`."""
    path = Path(model_dir) / "config.json"
    if not path.exists():
        raise ValueError(f"{model_dir} contains no run of `eseg train`: {path} is missing.")
    config = _read_config_file(path)
    is_classifier = config["task"] == "classification"
    kind = ClassificationExperiment if is_classifier else Experiment
    hints = typing.get_type_hints(kind)
    # Values that were chosen from the data replace those of the experiment.
    values = {**config["experiment"], **config["found"]}
    if unknown := sorted(set(values) - set(hints)):
        raise ValueError(
            f"{path} is of another version of the package: it contains the unknown {unknown[0]}."
        )
    try:
        values = {key: _from_json(value) for key, value in values.items()}
        for name, value in values.items():
            if not _fits(value, hints[name]):
                raise ValueError(f"{name} is {value!r:.80}")
        return kind(**values), config["data_dir"]
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} is damaged: {error}. {_CONFIG_REMEDY}") from error


def _fits(value, hint):
    """Return whether a value fits a type annotation."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, arg) for arg in args)
    if origin is typing.Literal:
        return value in args
    if origin is tuple:
        args = args[:1] * len(value) if isinstance(value, tuple) and args[-1] is ... else args
        return isinstance(value, tuple) and len(value) == len(args) and all(map(_fits, value, args))
    if origin is dict:
        return isinstance(value, dict) and all(all(map(_fits, x, args)) for x in value.items())
    if hint is float:
        hint = int | float
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _read_config_file(path):
    fields = {"experiment": dict, "data_dir": (str, type(None)), "task": str, "found": dict}
    fields["num_examples"] = (int, type(None))
    # In runs of earlier versions, these fields are missing.
    defaults = {"task": "segmentation", "found": {}, "num_examples": None}
    return read_json(path, _CONFIG_REMEDY, fields, defaults)


def _absolute(data_dir):
    return None if data_dir is None else str(Path(data_dir).resolve())


def config_values(experiment: AnyExperiment) -> dict[str, object]:
    """Return all values of an experiment as JSON returns them: with lists instead of tuples."""
    fields = dataclasses.fields(experiment)
    values = {field.name: _to_json(getattr(experiment, field.name)) for field in fields}
    return json.loads(json.dumps(values))


def _to_json(value):
    # Keys of JSON are strings: 11 becomes "11", a colour (0, 0, 128) becomes "0,0,128".
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


def differences(there: Mapping[str, object], here: Mapping[str, object]) -> list[str]:
    """Describe the values of a run that differ from those of its first call."""
    return [
        f"{name} (in that run {there.get(name)}, now {value})"
        for name, value in here.items()
        if value != there.get(name)
    ]


def check_same_run(model_dir: Path, experiment: AnyExperiment, data_dir: str | Path | None) -> None:
    """Raise ValueError if `model_dir` contains a run with another experiment or data directory."""
    if not (model_dir / "config.json").exists():
        return
    config = _read_config_file(model_dir / "config.json")
    there = {"task": config["task"], **config["experiment"], "data_dir": config["data_dir"]}
    here = {"task": experiment.task, **config_values(experiment), "data_dir": _absolute(data_dir)}
    # A later call may also pass the values that the first call chose from the data.
    found = config["found"].items()
    there |= {name: value for name, value in found if here.get(name) == value}
    if changed := differences(there, here):
        raise ValueError(
            f"{model_dir} contains a run with other values: {', '.join(changed)}. "
            "Choose another model_dir, or remove that folder."
        )


def check_same_images(model_dir: Path, found: Mapping[str, object], num_examples: int) -> None:
    """Raise ValueError if there are more or fewer training examples than when the run began.

    Also raise ValueError if the values chosen from the examples have changed, see `found_values`.
    """
    if not (model_dir / "config.json").exists():
        return
    config = _read_config_file(model_dir / "config.json")
    problem = f"The training images have changed since the run in {model_dir} began"
    remedy = "Restore the images, or choose another model_dir"
    known = {name: value for name, value in found.items() if name in config["found"]}
    if changed := differences(config["found"], known):
        raise ValueError(
            f"{problem}. Values chosen from them have changed: {', '.join(changed)}. {remedy}."
        )
    if config["num_examples"] not in (None, num_examples):
        raise ValueError(
            f"{problem}: it had {config['num_examples']}, now there are {num_examples}. {remedy}."
        )


def is_finished(model_dir: str | Path) -> bool:
    """Return whether a model directory contains a finished run."""
    return (Path(model_dir) / "metrics.json").exists()


def read_metrics(model_dir: Path, task: str) -> dict[str, object]:
    """Return the metrics of a finished run of a task."""
    path, remedy = model_dir / "metrics.json", "Remove it, and run the same command again."
    score = "accuracy" if task == "classification" else "per_class_iou"
    metrics = read_json(path, remedy, {"num_images": int, score: (float, dict)})
    for name, value in metrics.items():
        kind, of = _KINDS.get(name, (int | float | None, None))
        fits = isinstance(value, kind)
        if fits and of is not None:
            entries = value.values() if isinstance(value, dict) else value
            fits = all(isinstance(entry, of) for entry in entries)
        if not fits:
            raise DamagedFileError(f"{path} is damaged: {name} is {value!r:.80}. {remedy}")
    return metrics


def write_result(
    model_dir: Path, name: str, save: Callable[[Path], None], metrics: dict[str, object]
) -> None:
    """Write the result, then the metrics, which mark a run as finished; remove its checkpoints."""
    target = model_dir / name
    # An existing folder is from a process that was killed before it wrote the metrics.
    if target.is_dir():
        shutil.rmtree(target)
    with atomic_file(target) as temporary:
        save(temporary)
    write_json(model_dir / "metrics.json", metrics)
    shutil.rmtree(model_dir / "checkpoints")


def read_log(path: Path) -> list[dict]:
    """Read the log of a run, one row per epoch; the last row may be incomplete."""
    if not path.exists():
        return []
    remedy = "Remove it: the run then resumes with a new log."
    rows = read_csv(path, remedy)
    for number, row in enumerate(rows, 1):
        for name, text in row.items():
            try:
                float(text or 0)
            except ValueError:
                raise DamagedFileError(
                    f"{path} is damaged: {name} is {text!r} in row {number}, not a number. {remedy}"
                ) from None
    return rows


def write_log(path: Path, rows: Sequence[Mapping]) -> None:
    """Write the log of a run; missing values, such as those of a skipped validation, are empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    write_csv(path, names, ([row.get(name, "") for name in names] for row in rows))


def provenance() -> dict:
    """Return versions of packages and Python, backend, machine, and the state of the checkout."""
    import keras

    versions = {name: installed_version(name) for name in _PACKAGES}
    return {
        "packages": {"eseg-keras": __version__} | {n: v for n, v in versions.items() if v},
        "python": platform.python_version(),
        "backend": keras.backend.backend(),
        "machine": platform.platform(),
        "git": _git_state(),
    }


def _git_state():
    """Return the commit and whether files differ from it; `None` outside of a Git checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit, status = (
            subprocess.run(
                ["git", *command], cwd=root, capture_output=True, text=True, check=True, timeout=20
            ).stdout
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit.strip(), "changed": bool(status)}
