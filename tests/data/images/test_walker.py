import os

import pytest
from PIL import Image

from eseg_keras.data.images.walker import IMAGE_SUFFIXES, find_images


def names(folder, **options):
    return [path.relative_to(folder).as_posix() for path in find_images(folder, **options)]


@pytest.fixture
def make(tmp_path):
    def make(*files):
        for name in files:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make


def test_hidden_files_and_folders_are_not_looked_at(make):
    root = make("a.png", ".b.png", ".ipynb_checkpoints/c.png", "d/.e/f.png", "d/._g.jpg", "d/h.JPG")
    assert names(root) == ["a.png", "d/h.JPG"]
    assert names(root, recursive=False) == ["a.png"]


def test_links_are_followed_and_circles_end(make, caplog):
    root = make("data/a.png", "store/b.png", "store/deep/c.png")
    (root / "data" / "linked").symlink_to(root / "store")
    (root / "store" / "deep" / "circle").symlink_to(root / "data")
    (root / "data" / "file.png").symlink_to(root / "store" / "b.png")
    (root / "data" / "nothing.png").symlink_to(root / "gone.png")
    assert names(root / "data") == ["a.png", "file.png", "linked/b.png", "linked/deep/c.png"]
    assert "1 broken link, 1 link to a folder that is read already" in caplog.text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Needs named pipes.")
def test_pipes_and_devices_are_not_images(make, caplog):
    root = make("a.png")
    os.mkfifo(root / "pipe.png")
    (root / "device.png").symlink_to(os.devnull)
    assert names(root) == ["a.png"]
    assert "skipped 2 special file" in caplog.text


def test_a_folder_keeps_its_own_name_beside_a_link_to_it(make):
    root = make("z/a.png")
    (root / "a").symlink_to(root / "z")
    assert names(root) == ["z/a.png"]


def test_what_is_skipped_is_counted_by_suffix(make, caplog):
    root = make("a.tif", "b.TIFF", "c.gif", "d/e.GIF", "d/notes.txt", "Makefile", ".x.gif")
    assert names(root) == ["a.tif", "b.TIFF"]
    assert f"{root}: skipped 2 .gif, 1 .txt, 1 Makefile" in caplog.text
    caplog.clear()
    assert names(root, log_skipped=False) and not caplog.text
    assert names(root, first_frame=True) == ["a.tif", "b.TIFF", "c.gif", "d/e.GIF"]
    assert f"{root}: skipped 1 .txt, 1 Makefile" in caplog.text


def test_the_folder_of_the_outputs_is_excluded_unless_it_is_the_folder_itself(make):
    root = make("a.png", "out/b.png")
    assert names(root, exclude=root / "out") == ["a.png"]
    assert names(root, exclude=root) == ["a.png", "out/b.png"]


def test_a_folder_without_images_says_what_it_holds(make):
    root = make(*(f"a.x{number}" for number in range(9)), "b.X1")
    with pytest.raises(ValueError, match=r"no image inside \(.avif, .*; it contains .x0") as told:
        find_images(root)
    assert ".x6, .x7, ...: convert images" in str(told.value)
    with pytest.raises(FileNotFoundError):
        find_images(root / "none")


def test_every_suffix_is_one_that_pillow_reads():
    kinds = Image.registered_extensions()
    # Pillow reads MPO files with its JPEG reader.
    assert {s for s in IMAGE_SUFFIXES if kinds.get(s) not in Image.OPEN} <= {".avif", ".mpo"}
    assert ".gif" not in IMAGE_SUFFIXES
    formats = {kinds[s] for s in IMAGE_SUFFIXES - {".avif"}}
    others = {s for s, kind in kinds.items() if kind in formats} - IMAGE_SUFFIXES
    assert others <= {".apng", ".avif", ".avifs"}
