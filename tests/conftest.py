"""Settings and fixtures for all tests."""

import os

# Set before any test module imports Keras or TensorFlow.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Let tf2onnx raise the errors of its graph optimizers. By default, tf2onnx copies the graph before
# each optimizer and returns the copy on an error; the copies take a quarter of the time of an
# export.
os.environ.setdefault("TF2ONNX_CATCH_ERRORS", "FALSE")

import contextlib
import functools
import gc
import pty
import threading
import typing

import hypothesis
import numpy as np
import pytest

# An encoder with one thin block per stage: building and exporting it takes half of the time that
# the smallest encoder of the package takes.
THIN_ENCODER = "fused_efficientnet_thin"

# No deadline per example, because CI machines are sometimes slow.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


def pytest_configure(config):
    """Prepare every process that runs tests.

    The process that only starts the workers of pytest-xdist does not import Keras, so that the
    workers start early.
    """
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        return
    import keras

    from eseg_keras.encoders.fused import FUSED_EFFICIENTNETS

    FUSED_EFFICIENTNETS[THIN_ENCODER] = (0.1, 0.1)
    build_applications_once()
    if keras.backend.backend() == "jax":
        initialize_with_numpy()
    elif keras.backend.backend() == "tensorflow":
        disable_autotuning()
    # Graphs consist of many small objects that stay alive: with Python's default threshold of at
    # most 2,000 new objects, garbage collection takes a tenth of the time.
    gc.set_threshold(300_000, 20, 20)
    # Python 3.11 computes the attributes of a protocol in every `isinstance` call of TensorFlow:
    # compute them once.
    typing._get_protocol_attrs = functools.cache(typing._get_protocol_attrs)


def build_applications_once():
    """Keep networks of keras.applications for reuse: encoders are copies of them."""
    import keras

    from eseg_keras.encoders import application_encoder

    build = application_encoder._build_application
    built = {}

    def build_application(spec, image_shape, weights=None):
        if weights is not None:
            return build(spec, image_shape, weights)
        key = (spec.application, tuple(image_shape), keras.config.dtype_policy().name)
        if key not in built:
            if len(built) == 3:
                built.clear()  # The largest networks take several hundred MB.
            built[key] = build(spec, image_shape)
        return built[key]

    application_encoder._build_application = build_application


def initialize_with_numpy():
    """Draw initial weights with NumPy: JAX compiles a function per shape."""
    import keras
    from keras.src.backend.jax import random

    def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
        values = np.random.default_rng(np.asarray(random.jax_draw_seed(seed))).normal(size=shape)
        return keras.ops.cast(mean + stddev * np.clip(values, -2, 2), dtype or "float32")

    random.truncated_normal = truncated_normal


def disable_autotuning():
    """Disable the autotuner of tf.data, for which the end of an epoch waits.

    The package disables it in its own data sets. Tests also call `fit` with arrays, for which Keras
    builds a data set.
    """
    import tensorflow as tf

    def options(*arguments, init=tf.data.Options.__init__):
        init(*arguments)
        arguments[0].autotune.enabled = False

    tf.data.Options.__init__ = options


@pytest.fixture(autouse=True, scope="module")
def clear_keras():
    """Free the models of a test module: Keras and TensorFlow keep them, which slows later tests."""
    yield
    import keras

    # This also collects garbage.
    keras.utils.clear_session()
    # Exclude the remaining objects from later garbage collections.
    gc.freeze()


@pytest.fixture(scope="session")
def small_eseg():
    """Function that builds a small network quickly: three levels, eight channels.

    The default encoder is registered in this process only: if other processes build the network,
    pass another `encoder`.
    """
    from eseg_keras import ESeg

    small = {"encoder": THIN_ENCODER, "num_classes": 2, "min_level": 3, "max_level": 5}
    small |= {"decoder_channels": 8, "decoder_repeats": 1}
    return lambda **arguments: ESeg(**{**small, **arguments})


@contextlib.contextmanager
def without_graphs():
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def eagerly():
    """Run without graphs: for a few steps, tracing takes several times as long as the steps.

    Compiled functions are tested elsewhere: with the models, with the predictor, and in slow tests
    of training.
    """
    with without_graphs():
        yield


@pytest.fixture(scope="module")
def module_eagerly():
    """Run a test module and its fixtures without graphs, except for exports."""
    with without_graphs():
        yield


class Terminal:
    """A pseudo-terminal that a thread reads, because a full buffer would block the writer."""

    def __init__(self):
        self._leader, self.follower = pty.openpty()
        self._chunks = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        # At the end, Linux raises an error; other systems return no bytes.
        with contextlib.suppress(OSError):
            while chunk := os.read(self._leader, 1 << 16):
                self._chunks.append(chunk)

    def end(self):
        """Close the terminal and return everything that was written to it."""
        os.close(self.follower)
        self._reader.join()
        os.close(self._leader)
        return b"".join(self._chunks).decode()


@pytest.fixture
def terminal():
    return Terminal()
