"""Experiments, and the one script that trains them."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eseg_keras.training.classification_experiment import ClassificationExperiment
    from eseg_keras.training.distribution import make_distribution
    from eseg_keras.training.experiment import Experiment, experiment_names, load_experiment
    from eseg_keras.training.interruptions import NonFiniteLossError, Preempted
    from eseg_keras.training.overrides import override
    from eseg_keras.training.pretraining import pretrain
    from eseg_keras.training.run import train

# Experiments are listed and read without Keras: the rest waits until it is used.
_MODULES = {
    "ClassificationExperiment": "classification_experiment",
    "Experiment": "experiment",
    "NonFiniteLossError": "interruptions",
    "Preempted": "interruptions",
    "experiment_names": "experiment",
    "load_experiment": "experiment",
    "make_distribution": "distribution",
    "override": "overrides",
    "pretrain": "pretraining",
    "train": "run",
}

__all__ = [
    "ClassificationExperiment",
    "Experiment",
    "NonFiniteLossError",
    "Preempted",
    "experiment_names",
    "load_experiment",
    "make_distribution",
    "override",
    "pretrain",
    "train",
]


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module 'eseg_keras.training' has no attribute '{name}'")
    return getattr(importlib.import_module(f"eseg_keras.training.{_MODULES[name]}"), name)


def __dir__():
    return sorted(__all__)
