"""Experiments, and the script that trains them."""

import importlib
from typing import TYPE_CHECKING

from eseg_keras.training.experiment import ClassificationExperiment, Experiment
from eseg_keras.training.experiment_files import (
    derive_experiment,
    experiment_names,
    load_experiment,
)
from eseg_keras.training.overrides import override

if TYPE_CHECKING:
    from eseg_keras.training.callbacks import NonFiniteLossError, Preempted
    from eseg_keras.training.distribution import make_distribution
    from eseg_keras.training.finetuning import finetune
    from eseg_keras.training.run import train

__all__ = [
    "ClassificationExperiment",
    "Experiment",
    "NonFiniteLossError",
    "Preempted",
    "derive_experiment",
    "experiment_names",
    "finetune",
    "load_experiment",
    "make_distribution",
    "override",
    "train",
]


def __getattr__(name):
    """Import names that need Keras on first access: reading experiments does not require it."""
    if name not in __all__:
        raise AttributeError(f"module 'eseg_keras.training' has no attribute '{name}'")
    module = {
        "finetune": "finetuning", "make_distribution": "distribution", "train": "run",
    }.get(name, "callbacks")  # fmt: skip
    return getattr(importlib.import_module(f"eseg_keras.training.{module}"), name)


def __dir__():
    return sorted(__all__)
