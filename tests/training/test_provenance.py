"""The provenance that results record: versions and commit."""

import importlib.metadata
import json
import platform
import subprocess

import keras
import pytest

from eseg_keras.training import run_files as module
from eseg_keras.training.run_files import provenance
from eseg_keras.version import __version__


def test_versions_are_those_that_run():
    found = provenance()
    assert json.loads(json.dumps(found)) == found
    assert found["packages"]["eseg-keras"] == __version__
    assert found["packages"]["keras"] == keras.__version__
    assert found["packages"]["numpy"] == importlib.metadata.version("numpy")
    assert found["python"] == platform.python_version()
    assert found["backend"] == keras.backend.backend()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that contains the package; tests make it a git checkout."""
    package = tmp_path / "eseg_keras" / "training"
    package.mkdir(parents=True)
    (package / "provenance.py").write_text("")
    monkeypatch.setattr(module, "__file__", str(package / "provenance.py"))
    return tmp_path


def git(path, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    command = ["git", "-C", str(path), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_and_whether_files_differ(checkout):
    assert provenance()["git"] is None
    git(checkout, "init", "-q")
    # Before the first commit, there is no commit to record.
    assert provenance()["git"] is None
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "one")
    commit = git(checkout, "rev-parse", "HEAD")
    assert provenance()["git"] == {"commit": commit, "changed": False}
    (checkout / "eseg_keras" / "training" / "provenance.py").write_text("x = 1")
    assert provenance()["git"] == {"commit": commit, "changed": True}


def test_without_git_nothing_fails(checkout, monkeypatch):
    git(checkout, "init", "-q")
    monkeypatch.setenv("PATH", str(checkout))
    assert provenance()["git"] is None
