"""Published data sets, read in place or from copies in the format of tensorflow-datasets."""

from eseg_keras.data.datasets.class_maps import mapillary_to_cityscapes
from eseg_keras.data.datasets.examples import DatasetExamples
from eseg_keras.data.datasets.loading import DATASETS, load

__all__ = ["DATASETS", "DatasetExamples", "load", "mapillary_to_cityscapes"]
