import hashlib
import re
import tarfile
from importlib import resources

import numpy as np
import pytest
from PIL import Image

from eseg_keras.demo_page import browser_runtime, write_demo_page, writer
from eseg_keras.demo_page.browser_runtime import SCRIPT, WASM, read_runtime
from eseg_keras.demo_page.writer import write_examples

STATIC = resources.files("eseg_keras.demo_page") / "static"


@pytest.fixture(scope="module")
def untrained(small_eseg):
    return small_eseg()


def write_package(folder, content=b"other"):
    (folder / "dist").mkdir(parents=True)
    for name in (SCRIPT, WASM):
        (folder / "dist" / name).write_bytes(content)
    return folder


def test_a_runtime_that_is_not_the_right_one_is_refused(tmp_path):
    package = write_package(tmp_path / "package")
    with pytest.raises(ValueError, match="does not contain the files of onnxruntime-web@1.30.0"):
        read_runtime(package)
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        archive.add(package, "package")
    with pytest.raises(ValueError, match="another version, or altered"):
        read_runtime(tmp_path / "a.tgz")
    (package / "dist" / WASM).unlink()
    with pytest.raises(ValueError, match=f"contains no {WASM}"):
        read_runtime(package)
    (tmp_path / "b.tgz").write_bytes((tmp_path / "a.tgz").read_bytes()[:60])
    with pytest.raises(ValueError, match="not a complete .tgz"):
        read_runtime(tmp_path / "b.tgz")
    content = bytearray((tmp_path / "a.tgz").read_bytes())
    content[20:] = bytes(255 - value for value in content[20:])
    (tmp_path / "b.tgz").write_bytes(content)
    with pytest.raises(ValueError, match="not a complete .tgz"):
        read_runtime(tmp_path / "b.tgz")
    (tmp_path / "other" / "dist" / WASM).mkdir(parents=True)
    with tarfile.open(tmp_path / "d.tgz", "w:gz") as archive:
        archive.add(tmp_path / "other", "package")
    with pytest.raises(ValueError, match="contains no "):
        read_runtime(tmp_path / "d.tgz")
    with pytest.raises(ValueError, match="There is no file or folder"):
        read_runtime(tmp_path / "c.tgz")


def test_without_npm_the_message_tells_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="run `npm pack onnxruntime-web@1.30.0` and pass the .tgz"):
        read_runtime()
    # If npm fails, the message contains the first line of npm's error output.
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error no network' >&2\nexit 1\n")
    npm.chmod(0o755)
    with pytest.raises(ValueError, match=r"npm cannot download .* \(npm error no network\)"):
        read_runtime()
    assert not (tmp_path / "home").exists()


def test_what_npm_brings_is_kept_and_checked_again(tmp_path, monkeypatch):
    package = write_package(tmp_path / "package", b"right")
    with tarfile.open(tmp_path / "fetched.tgz", "w:gz") as archive:
        archive.add(package, "package")
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\n/bin/cp {tmp_path}/fetched.tgz .\n/bin/echo >> {tmp_path}/calls\n")
    npm.chmod(0o755)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path))
    right = hashlib.sha256(b"right").hexdigest()
    monkeypatch.setattr(browser_runtime, "_SHA256", {SCRIPT: right, WASM: right})
    for _ in range(2):
        assert read_runtime() == {SCRIPT: b"right", WASM: b"right"}
    assert len((tmp_path / "calls").read_text()) == 1
    kept = tmp_path / "home" / "onnxruntime-web" / "1.30.0"
    assert sorted(path.name for path in kept.iterdir()) == sorted([SCRIPT, WASM])
    (kept / WASM).write_bytes(b"altered")
    assert read_runtime()[WASM] == b"right"
    assert len((tmp_path / "calls").read_text()) == 2


def test_examples_carry_nothing_but_pixels(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    Image.new("RGB", (300, 200), (200, 10, 30)).save(tmp_path / "garden.jpg", exif=exif)
    [example] = write_examples(tmp_path / "examples", [tmp_path / "garden.jpg"])
    assert example["name"] == "garden"
    picture = Image.open(tmp_path / example["file"])
    assert picture.size == (200, 300) and not picture.getexif()
    assert np.abs(np.asarray(picture, int) - [200, 10, 30]).max() <= 3
    assert Image.open(tmp_path / example["thumbnail"]).height == 192
    with pytest.raises(ValueError, match="cannot be read as an image"):
        (tmp_path / "notes.jpg").write_text("no picture")
        write_examples(tmp_path / "other", [tmp_path / "notes.jpg"])


def test_the_usual_examples_are_street_scenes(tmp_path):
    examples = write_examples(tmp_path / "examples", None)
    assert [example["name"] for example in examples] == [f"street scene {n}" for n in (1, 2, 3)]
    assert {Image.open(tmp_path / example["file"]).size for example in examples} == {(1024, 512)}


def test_nothing_but_a_page_is_replaced(untrained, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="exists and is not a demo page"):
            write_demo_page(untrained, tmp_path, overwrite=overwrite)
        with pytest.raises(ValueError, match="exists and is not a demo page"):
            write_demo_page(untrained, tmp_path / "letter.txt", overwrite=overwrite)
    (tmp_path / "page" / "model").mkdir(parents=True)
    (tmp_path / "page" / "model" / "model.json").write_text("{}")
    with pytest.raises(ValueError, match="is a demo page.* set overwrite=True"):
        write_demo_page(untrained, tmp_path / "page")
    # With overwrite=True, the old page is kept if a later step fails.
    with pytest.raises(ValueError, match="There is no file or folder"):
        write_demo_page(untrained, tmp_path / "page", overwrite=True, runtime=tmp_path / "none")
    (tmp_path / "page" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"page contains more than a demo page.*\['notes.txt'\]"):
        write_demo_page(untrained, tmp_path / "page", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.txt", "page"]
    assert sorted(path.name for path in (tmp_path / "page").iterdir()) == ["model", "notes.txt"]


def test_the_folder_may_be_here_or_a_link(untrained, tmp_path, monkeypatch):
    outputs = []

    class Stop(Exception):
        pass

    def stop(output, overwrite):
        outputs.append(output)
        raise Stop

    monkeypatch.setattr(writer, "atomic_directory", stop)
    monkeypatch.setattr(writer, "read_runtime", lambda source: {})
    (tmp_path / "page").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "page")
    monkeypatch.chdir(tmp_path / "page")
    for output in (".", tmp_path / "link"):
        with pytest.raises(Stop):
            write_demo_page(untrained, output)
    assert outputs == [tmp_path / "page"] * 2


def test_arguments_are_checked_first(untrained, small_eseg, tmp_path):
    with pytest.raises(ValueError, match="long_side must be at least 32"):
        write_demo_page(untrained, tmp_path / "page", long_side=8)
    deep = small_eseg(image_shape=(None, None, 4))
    with pytest.raises(ValueError, match="Received: 4 channels"):
        write_demo_page(deep, tmp_path / "page")
    fixed = small_eseg(image_shape=(64, 96, 3))
    with pytest.raises(ValueError, match=r"Received: one for images of \(64, 96\)"):
        write_demo_page(fixed, tmp_path / "page")
    assert list(tmp_path.iterdir()) == []


def test_the_page_fits_its_scripts():
    page = (STATIC / "index.html").read_text("utf-8")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    scripts = {path.name: path.read_text("utf-8") for path in (STATIC / "scripts").iterdir()}
    for name, script in scripts.items():
        assert set(re.findall(r'byId\("([^"]+)"\)', script)) <= set(ids), name
        for imported in re.findall(r'from "\./([^"]+)"', script):
            assert imported in scripts
    for reference in re.findall(r'(?:for|aria-\w+)="([a-z- ]+)"', page):
        if reference not in ("true", "polite", "false"):
            assert set(reference.split()) <= set(ids) or " " in reference, reference
    # Neither the page nor its scripts refer to other servers.
    assert re.findall(r'(?:src|href)="(https?://(?!localhost)[^"]+)"', page) == []
    assert all("://" not in script for script in scripts.values())


@pytest.mark.slow
def test_a_page_as_written(demo):
    names = {str(path.relative_to(demo)) for path in demo.rglob("*") if path.is_file()}
    assert {
        *("index.html", "style.css", "scripts/app.js", "model/model.onnx", "model/model.json"),
        *("onnxruntime/LICENSE.txt", "onnxruntime/ThirdPartyNotices.txt"),
    } <= names
    assert [path.name for path in demo.parent.iterdir()] == ["demo"]
    assert "MIT License" in (demo / "onnxruntime" / "LICENSE.txt").read_text("utf-8")
