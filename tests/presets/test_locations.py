"""Presets of installed packages and in zip files."""

import json
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import eseg_keras
from eseg_keras import ESeg
from eseg_keras.presets.files import PresetError
from eseg_keras.presets.locations import installed_presets

SHIPPED = Path(eseg_keras.__file__).parent / "presets" / "eseg_lite_s_streets"
FILES = ("config.json", "metadata.json", "preprocessor.json", "weights.h5")


@pytest.fixture
def published(tmp_path, monkeypatch):
    """An installed package that publishes a preset, and that fails if it is imported."""
    package = tmp_path / "my_weights"
    shutil.copytree(SHIPPED, package / "nested" / "my_streets")
    package.joinpath("__init__.py").write_text("raise RuntimeError('imported')")
    metadata = package / "nested" / "my_streets" / "metadata.json"
    content = json.loads(metadata.read_text())
    metadata.write_text(json.dumps({**content, "notice": "For research only."}))
    information = tmp_path / "my_weights-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Name: my-weights\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[eseg_keras.presets]\nmy_streets = my_weights.nested\neseg_s = my_weights.nested\n"
        "gone = my_weights\nnowhere = no_such_package\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return package / "nested" / "my_streets"


def test_a_preset_of_an_installed_package(published, caplog):
    # Presets of this repository's packages, which may be installed, are excluded.
    others = {name for name in installed_presets() if "_camvid" not in name}
    assert others == {"my_streets"} and installed_presets()["my_streets"] == published
    model = ESeg.from_preset("my_streets")
    assert model.name == "my_streets" and "my_streets: For research only." in caplog.text
    for ours, theirs in zip(
        model.get_weights(), ESeg.from_preset("eseg_lite_s_streets").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert "my_weights" not in sys.modules


def test_an_installed_preset_is_suggested_and_listed(published, capsys):
    with pytest.raises(ValueError, match="Unknown preset 'my_street'.*my_streets"):
        ESeg.from_preset("my_street")
    from eseg_keras.cli import presets

    assert presets.run(None) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "my_streets" in line)
    assert "3.6 M" in row and " 8 " in row


def zipped(path, names=FILES, folder="streets/", compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name in names:
            archive.write(SHIPPED / name, folder + name)
    return path


@pytest.mark.parametrize("folder", ["", "streets/", "a/b/"])
def test_a_zipped_directory(tmp_path, folder):
    path = zipped(tmp_path / "mine.zip", (*FILES, "README.md"), folder)
    model = ESeg.from_preset(path, num_classes=3)
    assert (model.name, model.num_classes) == ("mine", 3)
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b"no zip file"), "cannot be unzipped: File is not a zip"),
        (lambda path: zipped(path, FILES[1:]), "must contain config.json once, found it 0 times"),
        (
            lambda path: zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED).writestr(
                "config.json", bytes(1 << 26)
            ),
            "config.json grows from",
        ),
        (
            lambda path: path.write_bytes(
                zipped(path).read_bytes().replace(b"weights.h5", b"weights.h6")
            ),
            "must contain weights.h5 once",
        ),
        (lambda path: flip(zipped(path)), "cannot be unzipped"),
    ],
    ids=["no zip", "lacks a file", "bomb", "other names", "damaged"],
)
def test_other_zip_files_are_refused(tmp_path, write, message):
    path = tmp_path / "mine.zip"
    write(path)
    with pytest.raises(PresetError, match=message) as caught:
        ESeg.from_preset(path)
    assert str(path) in str(caught.value)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_missing_zip_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no zipped preset at .*mine\.zip"):
        ESeg.from_preset(tmp_path / "mine.zip")
