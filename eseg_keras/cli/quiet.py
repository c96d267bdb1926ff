"""TensorFlow's own messages, kept off the terminal."""

import importlib.abc
import importlib.util
import os
import sys

from eseg_keras.standard_error import hidden_standard_error


def quiet_tensorflow() -> None:
    """Hide what TensorFlow says while it is imported, and all but errors afterwards.

    No variable stops the lines that it writes to file descriptor 2 before it reads any.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.meta_path.insert(0, _QuietImport())


class _QuietImport(importlib.abc.MetaPathFinder):
    """Hides the standard error during the import of TensorFlow; real errors are shown."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("tensorflow")
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def exec_module(module):
            with hidden_standard_error():
                run(module)

        spec.loader.exec_module = exec_module
        return spec
