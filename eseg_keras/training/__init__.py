"""Experiments, and the one script that trains them."""

from eseg_keras.training.classification_experiment import (
    ClassificationExperiment as ClassificationExperiment,
)
from eseg_keras.training.distribution import make_distribution as make_distribution
from eseg_keras.training.experiment import Experiment as Experiment
from eseg_keras.training.experiment import experiment_names as experiment_names
from eseg_keras.training.experiment import load_experiment as load_experiment
from eseg_keras.training.interruptions import NonFiniteLossError as NonFiniteLossError
from eseg_keras.training.interruptions import Preempted as Preempted
from eseg_keras.training.overrides import override as override
from eseg_keras.training.pretraining import pretrain as pretrain
from eseg_keras.training.run import train as train
