import dataclasses

import numpy as np
import pytest
from PIL import Image

from eseg_keras.data.scenes import render_scene
from eseg_keras.training import Experiment
from eseg_keras.training.data import experiment_data

SCENES = Experiment(
    data="street_scenes",
    image_size=(64, 96),
    batch_size=2,
    train_examples=3,
    val_examples=2,
    seed=5,
)


def arrays(dataset):
    return [tuple(np.asarray(part) for part in batch) for batch in dataset]


@pytest.fixture
def folders(tmp_path):
    """Photos of two sizes; masks in colour with the suffix _labels."""
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
    batches = arrays(experiment_data(SCENES, "validation"))
    assert len(batches) == 2
    for index, (images, masks) in enumerate(batches):
        image, mask = render_scene(index, "validation", (64, 96), 5)
        np.testing.assert_array_equal(images, image[None])
        np.testing.assert_array_equal(masks, mask[None])


def test_training_goes_on_at_the_epoch_it_is_told():
    whole = experiment_data(SCENES, "train")
    first, second = arrays(whole), arrays(whole)
    resumed = arrays(experiment_data(SCENES, "train", initial_epoch=1))
    assert not all(np.array_equal(a[0], b[0]) for a, b in zip(first, second, strict=True))
    for a, b in zip(second, resumed, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


def test_folders_are_cropped_for_training_and_whole_for_validation(folders):
    ((images, masks),) = arrays(experiment_data(FOLDERS, "train", folders))
    assert images.shape == (2, 32, 48, 3) and masks.shape == (2, 32, 48)
    validation = arrays(experiment_data(FOLDERS, "validation", folders))
    assert [images.shape[1:3] for images, _ in validation] == [(40, 60), (33, 47)]
    for index, (images, masks) in enumerate(validation):
        photo = Image.open(folders / "photos" / "val" / f"{index}.png")
        red = np.asarray(Image.open(folders / "masks" / "val" / f"{index}_labels.png"))[..., 0]
        np.testing.assert_array_equal(images[0], photo)
        np.testing.assert_array_equal(masks[0], red == 250)


def test_class_weights_weigh_the_training_alone(folders):
    weighted = dataclasses.replace(FOLDERS, class_weights=(1.0, 3.0))
    ((_, masks, weights),) = arrays(experiment_data(weighted, "train", folders))
    np.testing.assert_array_equal(weights, np.select([masks == 0, masks == 1], [1, 3], 0))
    assert all(len(batch) == 2 for batch in experiment_data(weighted, "validation", folders))


def test_what_is_missing_is_said(folders):
    with pytest.raises(ValueError, match="--data_dir"):
        experiment_data(FOLDERS, "train")
    nameless = dataclasses.replace(FOLDERS, class_names=None, num_classes=None, mask_colors=None)
    with pytest.raises(ValueError, match="class_names or num_classes"):
        experiment_data(nameless, "train", folders)
