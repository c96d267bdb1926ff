"""Imports of optional packages, and actions around an import."""

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """Import a module that the extra `extra` of this package installs.

    If the module is not installed, the ImportError contains the pip command.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # The module is installed, but one of its own imports failed: raise that error.
        if error.name != module and not module.startswith(f"{error.name}."):
            raise
        raise ImportError(
            f"This needs the package that provides '{module}', which is not installed. "
            f'Install it with: pip install "eseg-keras[{extra}]"'
        ) from error


def around_import(module: str, context: Callable[[], AbstractContextManager]) -> None:
    """Run the first import of a top-level module inside a context manager."""
    sys.meta_path.insert(0, _AroundImport(module, context))


class _AroundImport(importlib.abc.MetaPathFinder):
    def __init__(self, module, context):
        self.module = module
        self.context = context

    def find_spec(self, fullname, path=None, target=None):
        if fullname != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def exec_module(module):
            with self.context():
                run(module)

        spec.loader.exec_module = exec_module
        return spec
