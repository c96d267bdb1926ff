"""Published data sets, prepared by tensorflow-datasets and read without TensorFlow."""

from eseg_keras.data.datasets.class_maps import mapillary_to_cityscapes
from eseg_keras.data.datasets.examples import DatasetExamples
from eseg_keras.data.datasets.loading import DATASETS, load

__all__ = ["DATASETS", "DatasetExamples", "load", "mapillary_to_cityscapes"]
