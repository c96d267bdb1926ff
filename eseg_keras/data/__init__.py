"""Data sets, folders of images, augmentation and batches."""

from eseg_keras.data.augmentation import Augmentation
from eseg_keras.data.batches import Batches
from eseg_keras.data.camera_variation import CameraVariation
from eseg_keras.data.class_weights import balanced_class_weights
from eseg_keras.data.datasets import load, mapillary_to_cityscapes
from eseg_keras.data.examples import Examples
from eseg_keras.data.folder_checks import FolderError
from eseg_keras.data.folder_examples import FolderExamples, open_folders
from eseg_keras.data.folders import from_folders
from eseg_keras.data.images.image_reader import ImageFileError, read_image
from eseg_keras.data.images.mask_reader import MaskReader
from eseg_keras.data.photometric_distortion import PhotometricDistortion

__all__ = [
    "Augmentation",
    "Batches",
    "CameraVariation",
    "Examples",
    "FolderError",
    "FolderExamples",
    "ImageFileError",
    "MaskReader",
    "PhotometricDistortion",
    "balanced_class_weights",
    "from_folders",
    "load",
    "mapillary_to_cityscapes",
    "open_folders",
    "read_image",
]
