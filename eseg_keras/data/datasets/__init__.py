"""Published data sets, read from unpacked folders or copies in tensorflow-datasets' format."""

from eseg_keras.data.datasets.class_maps import mapillary_to_cityscapes
from eseg_keras.data.datasets.examples import DatasetExamples
from eseg_keras.data.datasets.loading import DATASETS, load

__all__ = ["DATASETS", "DatasetExamples", "load", "mapillary_to_cityscapes"]
