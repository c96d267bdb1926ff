"""What a result was made with: versions, machine, state of the source code."""

import platform
import subprocess
from pathlib import Path

import keras

from eseg_keras.machine import installed_version
from eseg_keras.version import __version__

_PACKAGES = (
    "keras", "tensorflow", "tensorflow-cpu", "jax", "torch", "numpy", "pillow", "h5py",
    "tensorflow-datasets",
)  # fmt: skip


def provenance() -> dict:
    """Return what this process computes with.

    Returns:
        A dict that JSON can hold: `packages` (name to version), `python`, `backend`, `machine`, and
        `git`: the commit of the checkout that the package runs from and whether files differ from
        it, or `None` for an installed package.

    Example:

    >>> from eseg_keras.training.provenance import provenance
    >>> sorted(provenance())
    ['backend', 'git', 'machine', 'packages', 'python']
    """
    versions = {name: installed_version(name) for name in _PACKAGES}
    return {
        "packages": {"eseg-keras": __version__} | {n: v for n, v in versions.items() if v},
        "python": platform.python_version(),
        "backend": keras.backend.backend(),
        "machine": platform.platform(),
        "git": _git_state(),
    }


def _git_state():
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git(root, "status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root, *arguments):
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()
