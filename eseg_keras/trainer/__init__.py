"""Training steps, averaged weights and mask checks used by `fit`."""

from eseg_keras.trainer.data_checks import LabelCheck, check_labels
from eseg_keras.trainer.training_model import TrainingModel

__all__ = ["LabelCheck", "TrainingModel", "check_labels"]
