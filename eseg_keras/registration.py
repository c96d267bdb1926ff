"""Register the classes of this package with Keras when a saved model first needs them.

`keras.models.load_model` finds a class only if its module was imported. `import eseg_keras` does
not import the modules of our classes, so that the command line starts fast. These modules are
imported when Keras first looks up one of our classes.
"""

import contextlib
import importlib
import sys

from eseg_keras.optional import around_import

_PREFIX = "eseg_keras>"
_MODULES = ("eseg_keras.losses", "eseg_keras.metrics", "eseg_keras.models")


def register_on_lookup() -> None:
    """Import our classes when Keras first looks one of them up, even if Keras is imported later."""
    if "keras" in sys.modules:
        _watch()
    else:
        around_import("keras", _watch_afterwards)


@contextlib.contextmanager
def _watch_afterwards():
    yield
    _watch()


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
