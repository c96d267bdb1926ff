"""Modules can be imported by their names."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import eseg_keras


@pytest.mark.parametrize(
    "package",
    [
        "cli",
        "conversion",
        "data",
        "data.classification",
        "data.datasets",
        "decoders",
        "demo_page",
        "encoders",
        "evaluation",
        "export",
        "inference",
        "latency",
        "layers",
        "losses",
        "metrics",
        "models",
        "presets",
        "street_scenes",
        "trainer",
        "training",
        "visualization",
    ],  # fmt: skip
)
def test_no_function_hides_a_module(package):
    # `import package.module as m` binds the package's attribute, which a function could hide.
    package = importlib.import_module(f"eseg_keras.{package}")
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    for name in names:
        importlib.import_module(f"{package.__name__}.{name}")
    assert names
    assert [name for name in names if not inspect.ismodule(getattr(package, name))] == []


def test_every_folder_of_modules_is_a_package():
    """A folder without `__init__.py` would be missing in the wheel."""
    root = Path(eseg_keras.__file__).parent
    folders = {path.parent for path in root.rglob("*.py") if "experiments" not in path.parts}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []
