"""Images with one label each, to pretrain encoders."""

from eseg_keras.data.classification.batches import (
    ClassificationBatches,
    central_crop,
    random_resized_crop,
)
from eseg_keras.data.classification.sources import ClassFolder, class_folders, imagenet2012

__all__ = [
    "ClassFolder",
    "ClassificationBatches",
    "central_crop",
    "class_folders",
    "imagenet2012",
    "random_resized_crop",
]
