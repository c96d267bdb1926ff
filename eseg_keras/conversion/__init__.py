"""Convert the files of annotation tools to folders of images and masks.

The package is not part of `data`, because it depends on `visualization` (to write palette images)
and on `training` (to write an experiment).
"""

from eseg_keras.conversion.conversion import FORMATS, Conversion, convert

__all__ = ["FORMATS", "Conversion", "convert"]
