"""Checks of the masks, and decisions that depend on the masks, before a run starts."""

import numpy as np
import pytest
from PIL import Image

from eseg_keras.data import FolderError
from eseg_keras.training import Experiment
from eseg_keras.training.distribution import ONE_DEVICE
from eseg_keras.training.tasks import Segmentation

OPTIONS = {"image_size": (32, 32), "batch_size": 1, "preset": "eseg_lite_s"}


@pytest.fixture
def write(tmp_path):
    """Return a function (values of training masks, values of validation masks) -> data folder."""

    def write(train, val):
        for split, values in (("train", train), ("val", val)):
            for kind in ("images", "annotations"):
                (tmp_path / kind / split).mkdir(parents=True)
            mask = np.resize(np.array(values, "uint8"), (32, 32))
            Image.fromarray(mask).save(tmp_path / "annotations" / split / "a.png")
            Image.fromarray(mask).convert("RGB").save(tmp_path / "images" / split / "a.png")
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("train", "val", "labels", "class_map"),
    [
        ([0, 1, 255], [0, 255], {0, 255}, {255: 255}),
        ([0, 255], [0, 255], {0, 1}, {255: 1}),
        ([0, 1], [0, 255], {0, 255}, {255: 255}),
    ],
)
def test_the_training_masks_decide_whether_255_is_a_class(write, train, val, labels, class_map):
    experiment = Experiment(num_classes=2, **OPTIONS)
    task = Segmentation(experiment, write(train, val), ONE_DEVICE, False)
    assert set(np.unique(task.val_batches.batch(0, 0)[1])) == labels
    assert task.experiment.class_map == class_map


@pytest.mark.parametrize(
    ("num_classes", "train", "message"),
    [
        (1, [0, 255], r"than two classes \(class 0\).*class_names=background,object"),
        (3, [2, 255], r"than two classes \(class 2\)"),
        (3, [255], r"than two classes \(none\)"),
    ],
)
def test_masks_that_teach_nothing_are_refused(write, num_classes, train, message):
    experiment = Experiment(num_classes=num_classes, **OPTIONS)
    with pytest.raises(ValueError, match=message):
        Segmentation(experiment, write(train, [0, 1]), ONE_DEVICE, False)


@pytest.mark.parametrize("colors", [((0, 0, 0), (0, 200, 0)), None], ids=["palette", "grey"])
def test_palettes_of_training_and_validation_differ(write, caplog, colors):
    folder = write([0, 1], [0, 1])
    experiment = Experiment(num_classes=2, **OPTIONS)
    set_palette(folder, "train", ((0, 0, 0), (200, 0, 0)))
    if colors:
        set_palette(folder, "val", colors)
    message = r"(?s)training and the validation masks.*1 file: palettes differ: index 1 is"
    with pytest.raises(FolderError, match=message):
        Segmentation(experiment, folder, ONE_DEVICE, False)
    Segmentation(experiment, folder, ONE_DEVICE, True)
    assert "palettes differ: index 1" in caplog.text
    by_color = Experiment(mask_colors=((0, 0, 0), (200, 0, 0)), num_classes=2, **OPTIONS)
    set_palette(folder, "val", ((200, 0, 0), (0, 0, 0)))
    Segmentation(by_color, folder, ONE_DEVICE, False)
    # A palette entry that no pixel uses does not matter.
    set_palette(folder, "val", ((0, 0, 0), (200, 0, 0), (0, 200, 0)))
    Segmentation(experiment, folder, ONE_DEVICE, False)


def set_palette(folder, split, colors):
    path = folder / "annotations" / split / "a.png"
    mask = Image.fromarray(np.asarray(Image.open(path)), "P")
    mask.putpalette([value for color in colors for value in color])
    mask.save(path)
