import re
import subprocess
import sys
from pathlib import Path

import pytest

import eseg_keras

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def metadata(tmp_path_factory):
    """Return the metadata of the package as pip reads it."""
    folder = tmp_path_factory.mktemp("metadata")
    command = [sys.executable, "setup.py", "--quiet", "egg_info", "--egg-base", folder]
    subprocess.run(command, cwd=ROOT, check=True)
    return (folder / "eseg_keras.egg-info" / "PKG-INFO").read_text("utf-8")


def requirements(metadata, extra=None):
    lines = re.findall(r"^Requires-Dist: (.+)$", metadata, re.M)
    marked = [line.partition(";") for line in lines]
    wanted = "" if extra is None else f'extra == "{extra}"'
    return {re.match(r"[\w.-]+", name)[0] for name, _, mark in marked if mark.strip() == wanted}


def test_the_base_install_is_small(metadata):
    assert requirements(metadata) == {"absl-py", "h5py", "keras", "numpy", "pillow", "rich"}


def test_every_extra_that_the_code_asks_for_exists(metadata):
    offered = set(re.findall(r"^Provides-Extra: (.+)$", metadata, re.M))
    asked = set()
    for path in (ROOT / "eseg_keras").rglob("*.py"):
        asked |= set(re.findall(r'require\(\s*"[\w.]+",\s*(?:extra=)?"([\w-]+)"', path.read_text()))
    assert "tensorflow" in asked
    assert asked <= offered
    assert requirements(metadata, "tensorflow") == {"tensorflow", "tensorboard"}
    assert requirements(metadata, "tensorflow-cpu") == {"tensorflow-cpu", "tensorboard"}


def test_versions_agree(metadata):
    assert f"\nVersion: {eseg_keras.__version__}\n" in metadata
    python = re.search(r"^Requires-Python: (.+)$", metadata, re.M)[1]
    assert set(python.split(",")) == {">=3.11", "<3.14"}
    assert f"[{eseg_keras.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_no_addons(metadata):
    assert "tensorflow-addons" not in metadata.lower().split("\n\n")[0]


def test_all_is_enough_for_every_command(metadata):
    """The extra "all" contains what commands may need, except backends, TensorRT and Ray."""
    asked = set()
    for path in (ROOT / "eseg_keras").rglob("*.py"):
        asked |= set(re.findall(r'require\(\s*"[\w.]+",\s*(?:extra=)?"([\w-]+)"', path.read_text()))
    for extra in asked - {
        "tensorflow",
        "tensorflow-cpu",
        "tensorrt",
        "tensorrt-rtx",
        "jax",
        "torch",
        "ray",
    }:
        assert requirements(metadata, extra) <= requirements(metadata, "all"), extra
    assert not {"tensorflow", "tensorflow-cpu"} & requirements(metadata, "all")


def test_the_citation_has_the_version():
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {eseg_keras.__version__}\n" in text
