"""Every source of examples gives the same kind of batches."""

import inspect

import numpy as np
import pytest

from eseg_keras import data
from eseg_keras.data import Augmentation, Examples
from eseg_keras.street_scenes import StreetScenes, render_scene, street_scenes


class Columns(Examples):
    """Six images; the labels of their masks, 0, 1, 2 and 9, depend on the column."""

    num_classes = 3
    ignore_label = 9

    def __len__(self):
        return 6

    def read(self, index):
        mask = np.tile(np.array([0, 1, 2, 9], np.uint8).repeat(8), (24, 1))
        return np.full((24, 32, 3), index, np.uint8), mask

    def name(self, index):
        return f"columns {index}"


def test_batches_hold_the_examples_and_their_names():
    batches = Columns().batches(batch_size=4, class_weights=[1, 2, 3])
    images, masks, weights = batches.batch(0, 1)
    assert images[:, 0, 0, 0].tolist() == [4, 5]
    np.testing.assert_array_equal(masks[0], Columns().read(4)[1])
    np.testing.assert_array_equal(weights, np.array([1, 2, 3] + [0] * 7)[masks])
    assert batches.names(0, 1) == ["columns 4", "columns 5"]


def test_the_ignore_label_reaches_augmentation_and_padding():
    fitted = Columns().batches(image_size=(24, 40)).batch(0, 0)[1]
    assert (fitted[:, :, 32:] == 9).all()
    options = {"image_size": (48, 64), "seed": 3}
    augmented = Columns().batches(augment=True, **options).batch(0, 0)
    same = Columns().batches(augment=Augmentation(ignore_label=9), **options).batch(0, 0)
    np.testing.assert_array_equal(augmented[1], same[1])
    assert set(np.unique(augmented[1])) == {0, 1, 2, 9}


def test_known_sizes_and_counts_are_used():
    examples = Columns()
    with pytest.raises(ValueError, match="'balanced' requires pixel counts"):
        examples.batches(class_weights="balanced")
    with pytest.raises(ValueError, match="image_size"):
        examples.batches(augment=True)
    examples.image_size, examples.class_counts = (24, 32), np.array([1, 1, 2])
    batches = examples.batches(augment=True, class_weights="balanced")
    assert batches.image_size == (24, 32)
    _, masks, weights = batches.batch(0, 0)
    for label, weight in ((0, 4 / 3), (1, 4 / 3), (2, 2 / 3), (9, 0)):
        np.testing.assert_allclose(weights[masks == label], weight, rtol=1e-6)


def test_street_scenes_are_such_examples():
    scenes = StreetScenes("test", 3, image_size=(32, 64), seed=5)
    batches = scenes.batches(batch_size=2, seed=5)
    np.testing.assert_array_equal(
        batches.batch(0, 1)[0][0], render_scene(2, "test", (32, 64), 5)[0]
    )
    assert batches.names(0, 1) == ["street scene 2"]
    short = street_scenes("test", 3, image_size=(32, 64), batch_size=2, seed=5)
    for ours, (images, masks) in zip(batches.to_py_dataset(), short, strict=True):
        np.testing.assert_array_equal(ours[0], images)
        np.testing.assert_array_equal(ours[1], masks)
    assert len(StreetScenes()) == 2000 and len(StreetScenes("validation")) == 100


@pytest.mark.parametrize("name", sorted(set(data.__all__) - {"FolderError", "ImageFileError"}))
def test_signatures_name_every_argument(name):
    parameters = inspect.signature(getattr(data, name)).parameters
    assert not {p.name for p in parameters.values() if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}


def test_the_short_way_takes_the_arguments_of_the_long_one():
    long = inspect.signature(data.open_folders).parameters | dict(
        inspect.signature(Examples.batches).parameters
    )
    short = dict(inspect.signature(data.from_folders).parameters)
    assert short.pop("initial_epoch").default == 0
    assert set(short) == set(long) - {"self"}
    # By default, `from_folders` shuffles the examples, and `batches` does not.
    for name in set(short) - {"shuffle"}:
        assert short[name].default == long[name].default
