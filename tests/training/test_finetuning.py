"""`finetune`: from two folders to a network, within the time limit, with resuming."""

import functools
import math
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from eseg_keras import ESeg
from eseg_keras.files import FileInUseError, locked
from eseg_keras.street_scenes import CLASS_NAMES, PALETTE, render_scene
from eseg_keras.training import Experiment, finetune, finetuning, load_experiment
from eseg_keras.training.data import open_examples
from eseg_keras.training.finetuning import Seconds, fit_into, list_files
from eseg_keras.visualization import label_image

LARGE = Experiment(
    num_classes=2, image_size=(384, 512), **dict.fromkeys(Experiment.automatic, "auto")
)


@pytest.mark.parametrize("num_train", [2, 30, 300, 100_000])
@pytest.mark.parametrize("budget", [20, 900, 36_000])
def test_the_run_fits_into_its_time(num_train, budget):
    seconds = Seconds(step=1.5, validation=0.05)
    found = fit_into(LARGE, num_train, max(1, num_train // 5), seconds, budget)
    assert found.batch_size == min(num_train, 8 if num_train < 2000 else 16)
    steps = math.ceil(num_train / found.batch_size)
    area = math.prod(found.image_size) / math.prod(LARGE.image_size)
    training = found.epochs * steps * seconds.step * area
    # More than one epoch is chosen only if all epochs fit into the time.
    assert found.epochs == 1 or training <= budget
    # A smaller image size is chosen only if few epochs fit, and has a minimum.
    assert area == 1 or found.epochs <= 20
    assert min(found.image_size) >= 96 and all(side % 32 == 0 for side in found.image_size)
    assert found.warmup_steps <= 0.05 * found.epochs * steps
    assert math.ceil(found.epochs / found.val_every) <= 10


def test_twice_the_time_gives_twice_the_epochs():
    seconds = Seconds(step=1.0, validation=0.0)
    few, many = (fit_into(LARGE, 160, 1, seconds, budget) for budget in (1000, 2000))
    assert few.image_size == many.image_size == (384, 512)
    assert 1.9 < many.epochs / few.epochs < 2.1


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Ten street scenes with colour masks."""
    folder = tmp_path_factory.mktemp("data")
    colors = np.zeros((256, 3), "uint8")
    colors[: len(PALETTE)] = PALETTE
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for index in range(10):
        image, mask = render_scene(index, "train", (64, 96))
        Image.fromarray(image).save(folder / "images" / f"{index}.jpg")
        mask[mask == 255] = 0
        Image.fromarray(colors[mask]).save(folder / "masks" / f"{index}.png")
    return folder


def test_a_run_that_was_killed_before_its_settings_resumes(folders, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    def measure(*_):
        raise Killed

    monkeypatch.setattr(finetuning, "_measure", measure)
    arguments = (folders / "images", folders / "masks", tmp_path / "out")
    for _ in range(2):
        with pytest.raises(Killed):
            finetune(*arguments, say=lambda text: None)
    names = {path.name for path in (tmp_path / "out" / "data" / "images").rglob("*.jpg")}
    assert names == {f"{index}.jpg" for index in range(10)}
    # A folder with files of the user is not changed.
    mine = tmp_path / "out" / "data" / "mine.txt"
    mine.write_text("mine")
    with pytest.raises(FileExistsError, match="data exists and is not empty"):
        finetune(*arguments, say=lambda text: None)
    assert mine.read_text() == "mine"
    # Links to other files of the same names are not used.
    mine.unlink()
    shutil.copytree(folders, tmp_path / "corrected")
    (tmp_path / "corrected" / "masks" / "3.png").unlink()
    Image.new("RGB", (96, 64), PALETTE[1]).save(tmp_path / "corrected" / "masks" / "3.png")
    with pytest.raises(FileExistsError, match="data exists and is not empty"):
        finetune(
            *(tmp_path / "corrected" / kind for kind in ("images", "masks")), tmp_path / "out",
            say=lambda text: None,
        )  # fmt: skip


@pytest.mark.parametrize("can_link", [True, False])
def test_links_and_copies_of_the_split_are_recognized(can_link, tmp_path, monkeypatch):
    if not can_link:
        monkeypatch.setattr(os, "symlink", lambda *_: (_ for _ in ()).throw(OSError("no links")))
    (tmp_path / "a").mkdir()
    for name in ("photo.png", "mask.png"):
        Image.new("L", (32, 32)).save(tmp_path / "a" / name)
    examples = SimpleNamespace(
        images=[tmp_path / "a" / "photo.png"], masks=[tmp_path / "a" / "mask.png"]
    )
    link = functools.partial(
        finetuning._link_files, examples, tmp_path / "a", ([0], []), tmp_path / "data"
    )
    link()
    link()
    (tmp_path / "a" / "photo.png").unlink()
    Image.new("L", (33, 32)).save(tmp_path / "a" / "photo.png")
    if can_link:
        link()  # The link points to the new file.
    else:
        with pytest.raises(FileExistsError):
            link()


def test_other_arguments_are_refused_and_other_minutes_said(folders, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    def train(*_, strategy):
        assert strategy == "one_device"
        raise Killed

    monkeypatch.setattr(finetuning, "_measure", lambda *_: Seconds(1.0, 0.1))
    monkeypatch.setattr(finetuning, "train", train)
    arguments, said = (folders / "images", folders / "masks", tmp_path / "out"), []

    def call(*places, **options):
        said.clear()
        finetune(*(places or arguments), say=said.append, **options)

    with pytest.raises(Killed):
        call(minutes=5, preset="eseg_lite_s", image_range=(0, 255))
    # Arguments that are not given are those of the first call.
    with pytest.raises(Killed):
        call()
    assert not any("minutes" in sentence for sentence in said)
    with pytest.raises(Killed):
        call(minutes=7.5, preset="eseg_lite_s", image_range=(0.0, 255.0))
    assert "in the first call, for 5 minutes: minutes=7.5 has no effect" in said[1]
    message = r"out contains a run with other values: preset \(.* eseg_lite_s, now eseg_s\), seed"
    with pytest.raises(ValueError, match=message):
        call(preset="eseg_s", seed=3, minutes=7.5)
    with pytest.raises(ValueError, match=r"masks \(in that run \S+/masks, now \S+/images\)"):
        call(arguments[0], arguments[0], arguments[2])


def test_a_second_process_is_refused(folders, tmp_path):
    with locked(tmp_path / "out"), pytest.raises(FileInUseError, match="out is in use by process"):
        finetune(folders / "images", folders / "masks", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def preset(tmp_path_factory, small_eseg):
    directory = tmp_path_factory.mktemp("preset") / "small"
    model = small_eseg()
    model.save_to_preset(directory)
    return str(directory)


def test_a_folder_of_images(folders, preset, tmp_path, monkeypatch, eagerly):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("eseg_keras.training.finetuning._MOST_EPOCHS", 2)
    output, said = tmp_path / "mine", []
    arguments = (folders / "images", folders / "masks", output)
    evaluation = finetune(*arguments, preset=preset, minutes=30, say=said.append)
    assert evaluation.num_images == 2 and 0 <= evaluation.mean_iou <= 1
    assert "10 images with masks" in said[0] and "colours" in said[0]
    assert said[1] == "8 images for training, 2 for validation."
    assert (output / "report" / "index.html").is_file()
    assert len(list((output / "worst").iterdir())) == 2

    model = ESeg.from_preset(output / "preset")
    experiment = load_experiment(str(output / "experiment.py"))
    assert model.num_classes == experiment.num_classes == len(experiment.mask_colors)
    assert set(experiment.mask_colors) <= {*PALETTE}
    assert (experiment.epochs, experiment.batch_size, experiment.image_size) == (2, 8, (64, 96))
    split = [{path.name for path in list_files(output / "data", part)} for part in ("train", "val")]
    assert sorted(split[0] | split[1]) == [f"{index}.jpg" for index in range(10)]
    assert not split[0] & split[1]

    # A second call keeps the settings and the finished run.
    again = finetune(*arguments, minutes=1000, say=said.append)
    assert again.mean_iou == evaluation.mean_iou
    assert any("Resuming with the settings" in sentence for sentence in said)


def test_palette_and_split_of_the_folders_are_kept(folders, preset, tmp_path, monkeypatch):
    """Folders as `eseg convert` writes them: palette PNGs, splits, and a class without pixels."""

    class Chosen(Exception):
        pass

    def stop(experiment, *_):
        raise Chosen(experiment)

    monkeypatch.setattr("eseg_keras.training.finetuning._measure", stop)
    for split, index in (("train", 0), ("train", 1), ("train", 2), ("val", 3), ("test", 4)):
        image, mask = render_scene(index, "train", (64, 96))
        for kind in ("images", "masks"):
            (tmp_path / kind / split).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "images" / split / f"{index}.png")
        label_image(mask, PALETTE).save(tmp_path / "masks" / split / f"{index}.png")
    names, said = (*CLASS_NAMES, "unicorn"), []
    with pytest.raises(Chosen) as chosen:
        finetune(
            *(tmp_path / kind for kind in ("images", "masks")), tmp_path / "mine",
            preset=preset, class_names=names, say=said.append,
        )  # fmt: skip
    experiment = chosen.value.args[0]
    assert experiment.class_names == names
    assert experiment.palette[: len(PALETTE)] == PALETTE
    assert said[1] == "3 images for training, 1 for validation."


@pytest.mark.parametrize(
    ("image", "masks", "suffixes"),
    [
        ("img_{}", ["mask_{}"], {}),
        ("{}_rgb", ["{}_label", "{}_color"], {"mask_suffix": "_label", "image_suffix": "_rgb"}),
    ],
)
def test_names_that_differ_pair_in_a_validation_set_of_one_image(
    preset, tmp_path, monkeypatch, image, masks, suffixes
):
    experiments = []

    def stop(experiment, *_):
        experiments.append(experiment)
        raise KeyboardInterrupt

    monkeypatch.setattr("eseg_keras.training.finetuning._measure", stop)
    for folder, names in (("images", [image]), ("masks", masks)):
        (tmp_path / folder).mkdir()
        for index in range(5):
            values = np.array([[0, 1]], "uint8") if folder == "masks" else np.full((1, 2), index)
            for name in names:
                path = tmp_path / folder / f"{name.format(index)}.png"
                Image.fromarray(values.astype("uint8")).resize((64, 32), 0).save(path)
    output = tmp_path / "mine"
    with pytest.raises(KeyboardInterrupt):
        finetune(
            tmp_path / "images", tmp_path / "masks", output, preset=preset, say=str, **suffixes
        )
    for split, count in (("train", 4), ("validation", 1)):
        examples = open_examples(experiments[0], split, output / "data")
        assert len(examples) == count
        assert np.unique(examples.read(0)[1]).tolist() == [0, 1]


def test_255_is_ignored_in_validation_masks_without_class_1(preset, tmp_path, monkeypatch):
    """Validation masks that contain only 0 and 255 look like black and white masks."""
    experiments = []

    def stop(experiment, *_):
        experiments.append(experiment)
        raise KeyboardInterrupt

    monkeypatch.setattr("eseg_keras.training.finetuning._measure", stop)
    masks = {"train": [[0, 1, 255]], "val": [[0, 0, 255]]}
    for split, rows in masks.items():
        for kind in ("images", "masks"):
            (tmp_path / kind / split).mkdir(parents=True, exist_ok=True)
        mask = Image.fromarray(np.array(rows, "uint8")).resize((48, 32), Image.Resampling.NEAREST)
        mask.save(tmp_path / "masks" / split / f"{split}.png")
        Image.new("RGB", (48, 32)).save(tmp_path / "images" / split / f"{split}.png")
    with pytest.raises(KeyboardInterrupt):
        finetune(tmp_path / "images", tmp_path / "masks", tmp_path / "mine", preset=preset, say=str)
    examples = open_examples(experiments[0], "validation", tmp_path / "mine" / "data")
    assert np.unique(examples.read(0)[1]).tolist() == [0, 255]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minutes": 0}, "above 0"),
        ({"class_names": CLASS_NAMES[:2]}, "Received 2 class names"),
        ({"mask_suffix": "_mask"}, "cannot be used"),
    ],
)
def test_mistakes_leave_nothing(folders, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        finetune(folders / "images", folders / "masks", tmp_path / "mine", **options)
    assert not (tmp_path / "mine").exists()
