"""From the files of annotation tools to folders of images and masks.

A folder of its own above `training`, because it writes palette images (`visualization`) and an
experiment (`training`) beside the masks that `data` reads.
"""

from eseg_keras.conversion.conversion import FORMATS, Conversion, convert

__all__ = ["FORMATS", "Conversion", "convert"]
