"""The ESeg networks and their parts."""

from eseg_keras.decoders import BiFPN, bifpn_decoder
from eseg_keras.models.classifier import Classifier
from eseg_keras.models.eseg import ESeg
from eseg_keras.models.profiling import profile
from eseg_keras.trainer.training_model import TrainingModel

__all__ = [
    "BiFPN",
    "Classifier",
    "ESeg",
    "TrainingModel",
    "bifpn_decoder",
    "profile",
]
