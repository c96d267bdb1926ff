"""Data sets are read in place from unpacked folders."""

import dataclasses
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from eseg_keras import progress
from eseg_keras.data.datasets import DATASETS, load
from eseg_keras.data.images.image_reader import ImageFileError

SIZE = (40, 64)
CITIES = {"train": ("ulm", "aachen"), "validation": ("bochum",), "test": ("bonn",)}
FOLDERS = {"train": "train", "validation": "val", "test": "test"}


def arrays(seed, num_labels):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    return image, rng.integers(0, num_labels, SIZE).astype(np.uint8)


@pytest.fixture
def files_of(image_bytes):
    """Function (data set, splits) -> {path: bytes} with the layout of the unpacked archives."""

    def cityscapes(splits, kind="gtFine"):
        files = {}
        for split in splits:
            for city in CITIES[split]:
                for frame in range(3):
                    image, labels = arrays([len(city), frame], 34)
                    path = f"{FOLDERS[split]}/{city}/{city}_{frame:06}_000019"
                    files[f"leftImg8bit/{path}_leftImg8bit.png"] = image_bytes(image)
                    files[f"{kind}/{path}_{kind}_labelIds.png"] = image_bytes(labels)
                    files[f"{kind}/{path}_{kind}_color.png"] = image_bytes(image)
                    files[f"{kind}/{path}_{kind}_polygons.json"] = b"{}"
        return files

    def flat(splits, images, masks, name, suffix, num_labels):
        files = {}
        for split in splits:
            for number in range(6):
                image, labels = arrays([len(split), number], num_labels)
                content = image_bytes(image, "JPEG" if suffix == "jpg" else "PNG")
                files[f"{images(split)}/{name(number)}.{suffix}"] = content
                files[f"{masks(split)}/{name(number)}.png"] = image_bytes(labels)
        return files

    def make(name, splits):
        if name == "cityscapes":
            return cityscapes(splits)
        if name == "ade20k":
            folder = {"train": "training", "validation": "validation"}
            return flat(
                splits, lambda s: f"images/{folder[s]}", lambda s: f"annotations/{folder[s]}",
                "ADE_train_{:08}".format, "jpg", 151,
            )  # fmt: skip
        if name == "camvid":
            folder = FOLDERS.get
            return flat(splits, folder, lambda s: f"{folder(s)}annot", "{:05}".format, "png", 12)
        folder = {"train": "training", "validation": "validation"}
        labels = "labels" if name == "mapillary_vistas" else "v2.0/labels"
        return flat(
            splits, lambda s: f"{folder[s]}/images", lambda s: f"{folder[s]}/{labels}",
            "{:022}".format, "jpg", len(DATASETS[name]["train"].classes.file_labels),
        )  # fmt: skip

    return make


def files_below(folder):
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*")}


def same(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


@pytest.mark.parametrize("name", DATASETS)
def test_the_same_batches_in_place_as_from_a_copy(tmp_path, files_of, write_files, name):
    source = tmp_path / "any" / "name"
    write_files(source, files_of(name, ("train", "validation")))
    before = files_below(tmp_path)
    in_place = load(name, "train", tmp_path)
    assert files_below(tmp_path) == before
    copy = load(name, "train", tmp_path, copy_to=tmp_path / "copy")
    assert list((tmp_path / "copy").rglob("*.array_record*"))
    # The copy is found in its folder and does not need the source files.
    shutil.rmtree(source)
    again = load(name, "train", tmp_path / "copy")
    write_files(source, files_of(name, ("train", "validation")))
    options = {"image_size": (32, 48), "batch_size": 3, "augment": True, "shuffle": True, "seed": 5}
    for shard in ((0, 1), (1, 2)):
        one, two, three = (x.batches(**options, shard=shard) for x in (in_place, copy, again))
        assert len(one) == len(two) > 1
        for epoch in (0, 4):
            for number in range(len(one)):
                assert one.names(epoch, number) == two.names(epoch, number)
                same(one.batch(epoch, number), two.batch(epoch, number))
                same(one.batch(epoch, number), three.batch(epoch, number))
    assert len(load(name, "validation", tmp_path / "copy")) >= 3


@pytest.mark.parametrize("images, masks", [("", ""), ("a/b/c", "a/b/c"), ("left", "d/gt")])
def test_cityscapes_anywhere(tmp_path, files_of, write_files, images, masks):
    files = files_of("cityscapes", ("train", "validation", "test"))
    for kind, place in (("leftImg8bit", images), ("gtFine", masks)):
        write_files(tmp_path / place, {k: v for k, v in files.items() if k.startswith(kind)})
    examples = load("cityscapes", "train", tmp_path)
    names = [examples.name(index) for index in range(len(examples))]
    assert len(names) == 6 and set(names) == {
        f"{city}_{n:06}_000019" for city in ("ulm", "aachen") for n in range(3)
    }
    for index, name in enumerate(names):
        city, frame = name.split("_")[:2]
        image, labels = arrays([len(city), int(frame)], 34)
        read, mask = examples.read(index)
        np.testing.assert_array_equal(read, image)
        np.testing.assert_array_equal(mask == 0, labels == 7)  # road
        np.testing.assert_array_equal(mask == 18, labels == 33)  # bicycle
        ignored = [*range(7), 9, 10, 14, 15, 16, 18, 29, 30]
        np.testing.assert_array_equal(mask == 255, np.isin(labels, ignored))


def test_read_only_folders_without_tensorflow_datasets(tmp_path, files_of, write_files):
    write_files(tmp_path / "cs", files_of("cityscapes", ("train",)))
    folders = [tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    code = f"""
import sys
for name in ("tensorflow_datasets", "array_record", "tensorflow"):
    sys.modules[name] = None
from eseg_keras.data.datasets import load
examples = load("cityscapes", "train", {str(tmp_path)!r})
print(len(examples), examples.read(5)[0].shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    for folder in folders:
        folder.chmod(0o755)
    assert done.stdout == "6 (40, 64, 3)\n", done.stderr


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_any_subset_of_splits(tmp_path, files_of, write_files, split):
    write_files(tmp_path / "cs", files_of("cityscapes", (split,)))
    assert len(load("cityscapes", split, tmp_path)) == 3 * len(CITIES[split])
    for other in {"train", "validation", "test"} - {split}:
        message = f"has no split '{other}' of Cityscapes: found no folder leftImg8bit/.* {split}"
        with pytest.raises(ValueError, match=message):
            load("cityscapes", other, tmp_path)


def test_masks_without_their_images(tmp_path, files_of, write_files):
    files = files_of("cityscapes", ("train", "test"))
    write_files(tmp_path, {k: v for k, v in files.items() if not k.startswith("leftImg8bit/test")})
    message = r"no split 'test' of Cityscapes: found .*gtFine/test, but no folder leftImg8bit/test"
    with pytest.raises(ValueError, match=message):
        load("cityscapes", "test", tmp_path)
    assert len(load("cityscapes", "train", tmp_path)) == 6
    # A copy contains the available splits; an error names a missing split.
    assert len(load("cityscapes", "train", tmp_path, copy_to=tmp_path / "copy")) == 6
    with pytest.raises(ValueError, match="has no split 'test': .* with only train"):
        load("cityscapes", "test", tmp_path / "copy")


def test_a_missing_mask_is_named(tmp_path, files_of, write_files):
    files = files_of("cityscapes", ("train",))
    del files["gtFine/train/ulm/ulm_000001_000019_gtFine_labelIds.png"]
    write_files(tmp_path, files)
    with pytest.raises(FileNotFoundError, match="ulm_000001_000019_leftImg8bit.png has no mask"):
        load("cityscapes", "train", tmp_path)


def test_other_files_among_the_images(tmp_path, files_of, write_files, caplog):
    files = files_of("cityscapes", ("train",))
    files |= {"leftImg8bit/train/ulm/Thumbs.db": b"", "leftImg8bit/train/.DS_Store": b""}
    files["leftImg8bit/train/ulm/._ulm_000000_000019_leftImg8bit.png"] = b"metadata"
    write_files(tmp_path, files)
    assert len(load("cityscapes", "train", tmp_path)) == 6
    assert "skipped 1 .db" in caplog.text and ".json" not in caplog.text


def test_progress_in_many_folders(tmp_path, files_of, write_files, monkeypatch, capsys):
    for number in range(400):
        (tmp_path / "others" / f"{number}" / "deep").mkdir(parents=True)
    write_files(tmp_path / "x" / "y" / "z", files_of("ade20k", ("train",)))
    monkeypatch.setattr(progress, "FIRST_LINE", 0.0)
    monkeypatch.setattr(progress, "NEXT_LINE", 0.0)
    assert len(load("ade20k", "train", tmp_path)) == 6
    lines = capsys.readouterr().err.splitlines()
    # One line for each folder that was searched: the data directory, the 2 folders in it, and the
    # 401 folders in these. Their subfolders are not searched, because one of them, x/y/z, contains
    # the data set.
    assert len(lines) == 1 + 2 + 401
    assert lines[-1] == f"Looking for ADE20K scene parsing in {tmp_path}  404 folders"


def test_two_copies_of_the_same_depth_are_named(tmp_path, files_of, write_files):
    for place in ("one", "two"):
        write_files(tmp_path / place, files_of("ade20k", ("train",)))
    with pytest.raises(ValueError, match="several folders of ADE20K.*/one/.*/two/.* as data_dir"):
        load("ade20k", "train", tmp_path)
    assert len(load("ade20k", "train", tmp_path / "two")) == 6
    # A link to the same folder does not count as a second folder.
    os.rename(tmp_path / "two", tmp_path.parent / f"{tmp_path.name}_two")
    (tmp_path / "two").symlink_to("one")
    assert len(load("ade20k", "train", tmp_path)) == 6


def test_other_images_in_the_same_folders_are_not_ade20k(tmp_path, files_of, write_files):
    files = files_of("ade20k", ("train",))
    renamed = {path.replace("ADE_train_", "drive_"): content for path, content in files.items()}
    write_files(tmp_path / "drive", renamed)
    with pytest.raises(ValueError, match="found .*annotations/training, but no folder images"):
        load("ade20k", "train", tmp_path)
    write_files(tmp_path / "scenes", files)
    assert load("ade20k", "train", tmp_path).name(0) == "ADE_train_00000000"


def test_mapillary_checks_its_version(tmp_path, files_of, write_files):
    files = files_of("mapillary_vistas", ("train",))
    write_files(tmp_path / "m", files | {"config.json": b'{"labels": [{"name": "balloon"}]}'})
    with pytest.raises(ValueError, match="expected 66 labels, found 1"):
        load("mapillary_vistas", "train", tmp_path)


def test_a_damaged_file_is_named_by_its_path(tmp_path, files_of, write_files):
    files = files_of("ade20k", ("train",))
    path = "annotations/training/ADE_train_00000002.png"
    content = bytearray(files[path])
    content[-14] ^= 1  # In the CRC of the pixel data, which Pillow does not check.
    write_files(tmp_path, files | {path: bytes(content)})
    examples = load("ade20k", "train", tmp_path)
    with pytest.raises(ImageFileError, match=f"^{tmp_path}/{path}: is damaged"):
        examples.read(2)
    batches = examples.batches(image_size=(32, 32), batch_size=6, skip_bad_examples=True)
    assert batches.batch(0, 0)[0].shape == (6, 32, 32, 3)
    assert list(batches.skipped) == ["ADE_train_00000002"]


def test_a_complete_folder_comes_before_the_archive(tmp_path, files_of, write_files, monkeypatch):
    description = DATASETS["camvid"]["train"]
    splits = {
        name: dataclasses.replace(s, num_examples=6) for name, s in description.splits.items()
    }
    layouts = (dataclasses.replace(description.layouts[0], splits=splits),)
    small = dataclasses.replace(description, layouts=layouts)
    monkeypatch.setitem(DATASETS["camvid"], "train", small)
    write_files(tmp_path / "camvid.zip", files_of("camvid", ("train",)))
    files = files_of("camvid", ("train",))
    write_files(tmp_path / "there", files)
    assert len(load("camvid", "train", tmp_path)) == 6
    assert not (tmp_path / "camvid").exists()
    # With one image missing in the folder, the archive is prepared.
    (tmp_path / "there" / "train" / "00001.png").unlink()
    assert len(load("camvid", "train", tmp_path)) == 6
    assert (tmp_path / "camvid").exists()
