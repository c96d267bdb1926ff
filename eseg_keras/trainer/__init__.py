"""What `fit` needs beyond Keras: the training step, averaged weights, checks of the masks."""

from eseg_keras.trainer.label_check import LabelCheck, check_labels
from eseg_keras.trainer.training_model import TrainingModel

__all__ = ["LabelCheck", "TrainingModel", "check_labels"]
