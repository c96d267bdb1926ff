"""Keras finds the classes of this package in saved models, also before anything imported them.

`keras.models.load_model` knows a class once its module has run. `import eseg_keras` runs none, so
that the command line starts fast; the first look-up of one of our classes then imports them.
"""

import importlib
import importlib.abc
import importlib.util
import sys

_PREFIX = "eseg_keras>"
_MODULES = ("eseg_keras.losses", "eseg_keras.metrics", "eseg_keras.models")


class _AfterKeras(importlib.abc.MetaPathFinder):
    """Watches the look-ups of Keras as soon as Keras is imported."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("keras")
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            _watch()

        spec.loader.exec_module = exec_module
        return spec


def register_on_lookup() -> None:
    """Import our classes when Keras first looks one of them up, whenever Keras is imported."""
    if "keras" in sys.modules:
        _watch()
    else:
        sys.meta_path.insert(0, _AfterKeras())


def _watch():
    from keras.src.saving import object_registration

    registered_object = object_registration.get_registered_object

    def get_registered_object(name, *args, **options):
        if str(name).startswith(_PREFIX):
            object_registration.get_registered_object = registered_object
            for module in _MODULES:
                importlib.import_module(module)
        return registered_object(name, *args, **options)

    object_registration.get_registered_object = get_registered_object
