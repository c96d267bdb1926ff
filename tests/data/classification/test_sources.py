"""Sources of labelled images: folders, and the archives of ImageNet."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from eseg_keras.data.classification import class_folders, imagenet2012
from eseg_keras.data.images.image_reader import ImageFileError


def photo(seed):
    return np.full((20, 30, 3), 10 * seed + 5, np.uint8)


def jpeg(seed):
    file = io.BytesIO()
    Image.fromarray(photo(seed)).save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(("train/b/2.JPEG", "train/b/1.jpg", "train/a/x/3.png")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(seed)).save(path)
    (tmp_path / "train" / "a" / "notes.txt").write_text("not a photo")
    (tmp_path / "train" / ".hidden").mkdir()
    return tmp_path / "train"


def test_folders_are_classes_in_alphabetic_order(folder):
    examples = class_folders(folder)
    assert examples.class_names == ("a", "b") and len(examples) == 3
    found = [(examples.name(i), examples.read(i)[1]) for i in range(3)]
    assert found == [
        (str(folder / "a/x/3.png"), 0), (str(folder / "b/1.jpg"), 1), (str(folder / "b/2.JPEG"), 1),
    ]  # fmt: skip
    np.testing.assert_array_equal(examples.read(0)[0], photo(2))


def test_labels_are_those_of_the_classes_given(folder):
    examples = class_folders(folder, class_names=("zebra", "b", "a"))
    assert [label for _, label in map(examples.read, range(3))] == [2, 1, 1]
    with pytest.raises(ValueError, match="unknown class folders: a"):
        class_folders(folder, class_names=("b", "c"))


def test_faults_are_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        class_folders(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="has no subfolders"):
        class_folders(tmp_path / "empty")
    (folder / "b" / "1.jpg").write_bytes(b"not a photo")
    with pytest.raises(ImageFileError, match="1.jpg"):
        class_folders(folder).read(1)
    (folder / "c").mkdir()
    with pytest.raises(FileNotFoundError, match="c: no image inside"):
        class_folders(folder)


def add(archive, name, content):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def write_archives(directory):
    """Write archives like ImageNet's: the training archive contains one archive per class."""
    directory.mkdir(parents=True)
    with tarfile.open(directory / "ILSVRC2012_img_train.tar", "w") as train:
        for first, wnid in ((0, "n01440764"), (2, "n15075141")):
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as archive:
                for seed in (first, first + 1):
                    add(archive, f"{wnid}_{seed}.JPEG", jpeg(seed))
            add(train, f"{wnid}.tar", inner.getvalue())
    with tarfile.open(directory / "ILSVRC2012_img_val.tar", "w") as validation:
        add(validation, "ILSVRC2012_val_00000001.JPEG", jpeg(7))


@pytest.mark.parametrize("place", ["downloads/manual", "."])
def test_imagenet_through_its_own_builder(tmp_path, place):
    pytest.importorskip("tensorflow_datasets")
    data_dir = tmp_path / "data"
    write_archives(data_dir / place)
    train = imagenet2012(data_dir)
    assert len(train) == 4 and len(train.class_names) == 1000
    for index in range(4):
        image, label = train.read(index)
        wnid, seed = train.name(index).removesuffix(".JPEG").split("_")
        assert train.class_names[label] == wnid and label == {"0": 0, "1": 0}.get(seed, 999)
        assert image.dtype == np.uint8 and image.shape == (20, 30, 3)
        assert np.abs(image.astype(int) - photo(int(seed))).max() <= 2
    # The data set is prepared: the archives are not needed any more.
    for archive in (data_dir / place).glob("*.tar"):
        archive.unlink()
    validation = imagenet2012(data_dir, "validation")
    # The class of the first validation image in the challenge's list of labels.
    assert len(validation) == 1 and validation.class_names[validation.read(0)[1]] == "n01751748"


def test_imagenet_says_what_is_missing(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    with pytest.raises(FileNotFoundError, match=r"ILSVRC2012_img_val\.tar .*downloads/manual"):
        imagenet2012(tmp_path)
    with pytest.raises(ValueError, match="'test'"):
        imagenet2012(tmp_path, "test")
