"""Settings that hold for every test."""

import os

# Set before Keras or TensorFlow is imported by any test module.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import gc

import keras
import pytest


@pytest.fixture(autouse=True, scope="module")
def clear_keras():
    """Let go of a module's models: what Keras and TensorFlow keep of them slows later tests."""
    yield
    keras.utils.clear_session()
    gc.collect()
