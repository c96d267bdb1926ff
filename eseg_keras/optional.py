"""Imports of packages that the base install does not bring."""

import importlib
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """Import an optional module, or say which command installs it.

    Args:
        module: Dotted name of the module, such as `"PIL.Image"`.
        extra: Name of the extra of eseg-keras that brings it.

    Returns:
        The imported module.

    Raises:
        ImportError: If the module is missing; the message holds the pip command.

    Example:

    >>> from eseg_keras.optional import require
    >>> require("json", extra="data").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A module that is installed but misses a part of its own is another fault: show that one.
        if error.name != module and not module.startswith(f"{error.name}."):
            raise
        raise ImportError(
            f"This needs the package that provides '{module}', which is not installed. "
            f'Install it with: pip install "eseg-keras[{extra}]"'
        ) from error
