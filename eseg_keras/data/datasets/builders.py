"""The builders of tensorflow-datasets, which store image and mask files byte for byte.

This module imports tensorflow-datasets: `load` imports it when it is needed.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds

from eseg_keras.data.datasets import cityscapes
from eseg_keras.data.datasets.archives import FoundFiles, find_files
from eseg_keras.data.datasets.metadata import Description


class _PairedFiles(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Images and masks with the same names, in two folders per split."""

    VERSION = tfds.core.Version("1.0.0")
    # Without instructions, tensorflow-datasets passes no `manual_dir`.
    MANUAL_DOWNLOAD_INSTRUCTIONS = "See the error of `eseg_keras.data.load`."
    description: Description

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.description.title,
            features=tfds.features.FeaturesDict(
                {
                    "image_id": tfds.features.Text(),
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    # The bytes of the PNG file: TensorFlow would decode an image feature, and turn
                    # palette indices into the brightness of their colours.
                    "segmentation_label": tfds.features.Text(),
                }
            ),
            homepage=self.description.homepage,
            license=self.description.license,
            # Examples stay in the order of their names.
            disable_shuffling=True,
        )

    def finds(self, place: Path) -> bool:
        """Tell whether the archives or their files are in a folder."""
        return find_files(place, self.description.layouts) is not None

    def _split_generators(self, dl_manager):
        files = find_files(Path(dl_manager.manual_dir), self.description.layouts)
        if self.description.check is not None:
            self.description.check(files.root)
        return {name: self._generate_examples(files, name) for name in files.splits()}

    def _generate_examples(self, files: FoundFiles, split: str) -> Iterator[tuple[int, dict]]:
        for index, (image, label) in enumerate(files.pairs(split)):
            record = {
                "image_id": Path(image.name).stem,
                "image": image.read_bytes(),
                "segmentation_label": label.read_bytes(),
            }
            yield index, record


class Cityscapes(tfds.builder_cls("cityscapes"), skip_registration=True):
    """The builder of tensorflow-datasets, which takes unpacked folders as well."""

    name = "cityscapes"

    @property
    def description(self) -> Description:
        """The data set with fine or coarse masks, by the name of the configuration."""
        return CITYSCAPES_CONFIGS[self.builder_config.name]

    def finds(self, place: Path) -> bool:
        """Tell whether the archives or their files are in a folder."""
        splits = self.description.splits.values()
        return self._archives_are_in(place) or all((place / s.labels).is_dir() for s in splits)

    def _archives_are_in(self, place):
        return all(zipfile.is_zipfile(place / name) for name in self.description.archives)

    def _split_generators(self, dl_manager):
        place = Path(dl_manager.manual_dir)
        if self._archives_are_in(place):
            return super()._split_generators(dl_manager)
        return {
            name: self._generate_examples(
                images_left=str(place / split.images), segmentation_labels=str(place / split.labels)
            )
            for name, split in self.description.splits.items()
        }


CITYSCAPES_CONFIGS = {
    "semantic_segmentation": cityscapes.FINE,
    "semantic_segmentation_extra": cityscapes.COARSE,
}


def builder_for(published: Description, data_dir: Path) -> tfds.core.DatasetBuilder:
    """Return the builder of a data set, without reading or preparing anything."""
    for config, described in CITYSCAPES_CONFIGS.items():
        if described is published:
            return Cityscapes(data_dir=data_dir, config=config)

    class Builder(_PairedFiles, skip_registration=True):
        name = published.name
        description = published

    return Builder(data_dir=data_dir)
