"""Builders of tensorflow-datasets that store the bytes of image and mask files unchanged.

This module imports tensorflow-datasets; `load` imports it only to prepare or read a copy.
"""

from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds

from eseg_keras.data.datasets.found_files import FoundFiles
from eseg_keras.data.datasets.metadata import Description


class _PairedFiles(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Builder for images and masks in the folders of `files`."""

    VERSION = tfds.core.Version("1.0.0")
    # tensorflow-datasets accepts a `manual_dir` only if there are instructions.
    MANUAL_DOWNLOAD_INSTRUCTIONS = "See the error of `eseg_keras.data.load`."
    description: Description
    files: FoundFiles | None = None

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.description.title,
            features=tfds.features.FeaturesDict(
                {
                    "image_id": tfds.features.Text(),
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    # The bytes of the PNG file: TensorFlow would decode an image feature, and
                    # convert palette indices to grey values.
                    "segmentation_label": tfds.features.Text(),
                }
            ),
            homepage=self.description.homepage,
            license=self.description.license,
            # Keep the order of `files.pairs`.
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        if self.description.check is not None:
            self.description.check(self.files.root)
        return {name: self._generate_examples(name) for name in self.files.folders}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict]]:
        for index, (name, image, mask) in enumerate(self.files.pairs(split)):
            record = {
                "image_id": name,
                "image": image.read_bytes(),
                "segmentation_label": mask.read_bytes(),
            }
            yield index, record


class _Cityscapes(tfds.builder_cls("cityscapes"), skip_registration=True):
    """Builds Cityscapes from its archives or, with `files`, from folders."""

    name = "cityscapes"
    files: FoundFiles | None = None

    def _split_generators(self, dl_manager):
        if self.files is None:
            return super()._split_generators(dl_manager)
        return {name: self._pairs(name) for name in self.files.folders}

    def _pairs(self, split):
        for name, image, mask in self.files.pairs(split):
            yield name, {"image_id": name, "image_left": image, "segmentation_label": mask}


def builder_for(
    published: Description, data_dir: Path, files: FoundFiles | None = None
) -> tfds.core.DatasetBuilder:
    """Return the builder of a data set, without reading or preparing anything.

    `files` are the files to prepare; without them, Cityscapes is prepared from its archives.
    """
    if published.config:
        builder = _Cityscapes(data_dir=data_dir, config=published.config)
    else:

        class Builder(_PairedFiles, skip_registration=True):
            name = published.name
            description = published

        builder = Builder(data_dir=data_dir)
    builder.files = files
    return builder
