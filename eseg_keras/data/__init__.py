"""Data sets, label maps, augmentation and input pipelines."""

from eseg_keras.data.augmentation import Augmentation
from eseg_keras.data.class_weights import balanced_class_weights
from eseg_keras.data.folder_checks import FolderError
from eseg_keras.data.folders import FolderExamples, from_folders
from eseg_keras.data.image_files import ImageFileError
from eseg_keras.data.label_maps import LabelReader
from eseg_keras.data.pipeline import build_dataset
from eseg_keras.data.scenes import render_scene
from eseg_keras.data.scenes.dataset import street_scenes

__all__ = [
    "Augmentation",
    "FolderError",
    "FolderExamples",
    "ImageFileError",
    "LabelReader",
    "balanced_class_weights",
    "build_dataset",
    "from_folders",
    "render_scene",
    "street_scenes",
]
