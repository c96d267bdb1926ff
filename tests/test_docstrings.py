"""Every example in a docstring runs and prints the output shown."""

import doctest
import importlib
import pkgutil

import keras
import pytest

import eseg_keras

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(eseg_keras.__path__, "eseg_keras.")
    if ".experiments" not in module.name
)


@pytest.fixture
def no_progress_bars():
    """Disable Keras' progress bars, which would count as output of an example."""
    keras.config.disable_interactive_logging()
    yield
    keras.config.enable_interactive_logging()


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, no_progress_bars, module_eagerly):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    examples = sum(
        len(test.examples)
        for name in MODULES
        for test in finder.find(importlib.import_module(name))
    )
    assert examples > 100
