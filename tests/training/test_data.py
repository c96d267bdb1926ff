import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from eseg_keras.street_scenes import render_scene
from eseg_keras.training import Experiment
from eseg_keras.training import data as training_data
from eseg_keras.training.data import (
    open_examples,
    open_pseudo_labelled,
    training_batches,
    typical_long_side,
    validation_batches,
)
from eseg_keras.training.distribution import Distribution

SCENES = Experiment(
    data="street_scenes",
    image_size=(64, 96),
    batch_size=2,
    train_examples=3,
    val_examples=2,
    seed=5,
)


def arrays(experiment, split, data_dir=None, epoch=0, distribution=None):
    """Return the batches of an epoch."""
    examples = open_examples(experiment, split, data_dir)
    make = training_batches if split == "train" else validation_batches
    batches = make(experiment, examples, *([distribution] if distribution else []))
    return [batches.batch(epoch, batch) for batch in range(len(batches))]


@pytest.fixture
def folders(tmp_path):
    """Images of different sizes, and colour masks with the suffix _labels."""
    rng = np.random.default_rng(0)
    for split, sizes in {"train": [(40, 60), (50, 70)], "val": [(40, 60), (33, 47)]}.items():
        for kind in ("photos", "masks"):
            (tmp_path / kind / split).mkdir(parents=True)
        for index, size in enumerate(sizes):
            image = rng.integers(0, 256, (*size, 3), dtype="uint8")
            labels = np.where(rng.random(size) < 0.25, 1, 0)
            colors = np.array([[0, 0, 0], [250, 0, 0]], "uint8")[labels]
            Image.fromarray(image).save(tmp_path / "photos" / split / f"{index}.png")
            Image.fromarray(colors).save(tmp_path / "masks" / split / f"{index}_labels.png")
    return tmp_path


FOLDERS = Experiment(
    class_names=("ground", "object"),
    mask_colors=((0, 0, 0), (250, 0, 0)),
    mask_suffix="_labels",
    train_images="photos/train",
    train_masks="masks/train",
    val_images="photos/val",
    val_masks="masks/val",
    image_size=(32, 48),
    batch_size=2,
)


def test_validation_scenes_are_whole_and_one_at_a_time():
    batches = arrays(SCENES, "validation")
    assert len(batches) == 2
    for index, (images, masks) in enumerate(batches):
        image, mask = render_scene(index, "validation", (64, 96), 5)
        np.testing.assert_array_equal(images, image[None])
        np.testing.assert_array_equal(masks, mask[None])


def test_epochs_differ_and_repeat():
    first, second, again = (arrays(SCENES, "train", epoch=epoch) for epoch in (0, 1, 1))
    assert not all(np.array_equal(a[0], b[0]) for a, b in zip(first, second, strict=True))
    for a, b in zip(second, again, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


def test_folders_are_cropped_for_training_and_whole_for_validation(folders):
    ((images, masks),) = arrays(FOLDERS, "train", folders)
    assert images.shape == (2, 32, 48, 3) and masks.shape == (2, 32, 48)
    validation = arrays(FOLDERS, "validation", folders)
    assert [images.shape[1:3] for images, _ in validation] == [(40, 60), (33, 47)]
    for index, (images, masks) in enumerate(validation):
        photo = Image.open(folders / "photos" / "val" / f"{index}.png")
        red = np.asarray(Image.open(folders / "masks" / "val" / f"{index}_labels.png"))[..., 0]
        np.testing.assert_array_equal(images[0], photo)
        np.testing.assert_array_equal(masks[0], red == 250)


def test_class_weights_weigh_the_training_alone(folders):
    weighted = dataclasses.replace(FOLDERS, class_weights=(1.0, 3.0))
    ((_, masks, weights),) = arrays(weighted, "train", folders)
    np.testing.assert_array_equal(weights, np.select([masks == 0, masks == 1], [1, 3], 0))
    assert all(len(batch) == 2 for batch in arrays(weighted, "validation", folders))


def test_balanced_class_weights_come_from_all_masks(folders):
    balanced = dataclasses.replace(FOLDERS, class_weights="balanced")
    red = [
        np.asarray(Image.open(path))[..., 0] == 250
        for path in sorted((folders / "masks" / "train").iterdir())
    ]
    objects, pixels = sum(r.sum() for r in red), sum(r.size for r in red)
    expected = pixels / 2 / np.array([pixels - objects, objects])
    ((_, masks, weights),) = arrays(balanced, "train", folders)
    for label in (0, 1):
        np.testing.assert_allclose(weights[masks == label], expected[label], rtol=1e-6)


def test_every_device_gets_an_image_and_what_fills_up_counts_nowhere():
    two = Distribution("mirrored", num_devices=2)
    three = dataclasses.replace(SCENES, val_examples=3)
    batches = arrays(three, "validation", distribution=two)
    assert [len(images) for images, _ in batches] == [2, 2]
    masks = np.concatenate([masks for _, masks in batches])
    for index in range(3):
        np.testing.assert_array_equal(
            masks[index], render_scene(index, "validation", (64, 96), 5)[1]
        )
    assert (masks[3] == 255).all()


def test_a_batch_that_devices_cannot_share_is_left_out():
    two = Distribution("mirrored", num_devices=2)
    assert [len(masks) for _, masks in arrays(SCENES, "train")] == [2, 1]
    assert [len(masks) for _, masks in arrays(SCENES, "train", distribution=two)] == [2]
    with pytest.raises(ValueError, match="batch_size=2 cannot be divided over 3 devices"):
        arrays(SCENES, "train", distribution=Distribution("mirrored", num_devices=3))


@pytest.mark.parametrize("free_bytes, reads_of_each", [(2**30, {1}), (50 * 70 * 4, {1, 2})])
def test_examples_that_fit_into_memory_are_read_once(
    folders, monkeypatch, free_bytes, reads_of_each
):
    monkeypatch.setattr(training_data, "_MEMORY_BYTES", free_bytes)
    examples = open_examples(FOLDERS, "train", folders)
    batches = training_batches(FOLDERS, examples)
    expected = [batches.batch(epoch, 0) for epoch in range(2)]

    reads = []
    read = type(examples).read
    monkeypatch.setattr(
        type(examples), "read", lambda self, index: reads.append(index) or read(self, index)
    )
    batches = training_batches(FOLDERS, examples)  # Reads example 0 for its dtype and channels.
    for epoch in range(2):
        for array, same in zip(batches.batch(epoch, 0), expected[epoch], strict=True):
            np.testing.assert_array_equal(array, same)
    assert {reads.count(0), reads.count(1)} == reads_of_each


def test_the_typical_size_is_that_which_the_network_sees(folders):
    examples = open_examples(FOLDERS, "train", folders)
    assert typical_long_side(examples) == 65  # The median of 60 and 70.
    resized = open_examples(dataclasses.replace(FOLDERS, long_side=48), "train", folders)
    assert typical_long_side(resized) == 48
    assert typical_long_side(open_examples(SCENES, "train")) == 96
    (folders / "photos" / "train" / "0.png").write_bytes(b"no image")
    assert typical_long_side(examples) == 70


def test_what_is_missing_is_said(folders):
    with pytest.raises(ValueError, match="pass data_dir"):
        open_examples(FOLDERS, "train")
    nameless = dataclasses.replace(FOLDERS, class_names=None, num_classes=None, mask_colors=None)
    with pytest.raises(ValueError, match="class_names or num_classes"):
        open_examples(nameless, "train", folders)
    with pytest.raises(ValueError, match="reads cityscapes from a folder"):
        open_examples(Experiment(data="cityscapes"), "train")


def test_pseudo_labels_are_half_of_each_batch(tmp_path):
    for kind, count, value in (("images/train", 3, 0), ("extra", 5, 200)):
        masks = "annotations/train" if value == 0 else "labelled"
        for index in range(count):
            for folder, content in ((kind, value + index), (masks, index % 2)):
                path = tmp_path / folder / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                mode = "RGB" if folder == kind else "L"
                color = (content,) * 3 if mode == "RGB" else content
                Image.new(mode, (32, 32), color).save(path)
    experiment = Experiment(
        num_classes=2,
        image_size=(32, 32),
        batch_size=2,
        augment=False,
        pseudo_images="extra",
        pseudo_masks=str(tmp_path / "labelled"),
    )
    examples = open_examples(experiment, "train", tmp_path)
    others = open_pseudo_labelled(experiment, tmp_path)
    batches = training_batches(experiment, examples, pseudo_labelled=others)
    assert len(batches) == 3
    for number in range(3):
        images, masks = batches.batch(0, number)
        values = images[:, 0, 0, 0]
        assert values.min() < 3 and values.max() >= 200
        np.testing.assert_array_equal(masks[:, 0, 0], values % 2)
    # Two workers, each with two devices, share one batch.
    four = dataclasses.replace(experiment, batch_size=4)
    whole, _ = training_batches(four, examples, pseudo_labelled=others).batch(0, 0)
    for place, part in enumerate(np.split(whole, 2)):
        distribution = Distribution("multi_worker", num_devices=4, worker=(place, 2))
        shard = training_batches(four, examples, distribution, pseudo_labelled=others)
        np.testing.assert_array_equal(shard.batch(0, 0)[0], part)
    with pytest.raises(ValueError, match="batch_size=2 cannot be divided over 4 devices"):
        training_batches(experiment, examples, distribution, pseudo_labelled=others)
    manifest = {"teacher": {"class_names": ["Cat", "dog"]}, "options": {}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    named = dataclasses.replace(experiment, class_names=("cat", "Dog"))
    assert len(open_pseudo_labelled(named, tmp_path)) == len(others)
    other = dataclasses.replace(experiment, class_names=("dog", "cat"))
    with pytest.raises(ValueError, match="other classes: Cat, dog. Expected 2, in this order: dog"):
        open_pseudo_labelled(other, tmp_path)
    with pytest.raises(ValueError, match="other classes: Cat, dog. Expected 3."):
        open_pseudo_labelled(dataclasses.replace(experiment, num_classes=3), tmp_path)
    (tmp_path / "manifest.json").write_text('{"teacher": {}, "options": {}}')
    with pytest.raises(ValueError, match="manifest.json is damaged: the teacher has no class_na"):
        open_pseudo_labelled(named, tmp_path)
    assert open_pseudo_labelled(Experiment(num_classes=2), tmp_path) is None
    with pytest.raises(ValueError, match="pseudo_images and pseudo_masks must be used together"):
        Experiment(num_classes=2, pseudo_images="extra")
