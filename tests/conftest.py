"""Settings and fixtures for all tests."""

import os

# Set before any test module imports Keras or TensorFlow.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Errors in tf2onnx's optimizers are raised. Users get the graph as it was before the optimizer,
# for which tf2onnx copies the graph each time: this takes a quarter of an export.
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

# One thin block per stage: building and exporting it takes half of the time of the smallest encoder
# of the package.
THIN_ENCODER = "fused_efficientnet_thin"

# The machines of continuous integration are slow now and then.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


def pytest_configure(config):
    """Prepare a process that runs tests: all but the one that starts the workers of pytest-xdist.

    That one imports no Keras, so that the workers start early.
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
    # Graphs are many small objects that stay: with Python's own threshold of some hundred new
    # objects, a tenth of the time goes into looking for garbage.
    gc.set_threshold(300_000, 20, 20)
    # Python 3.11 looks for the attributes of a protocol each time that TensorFlow asks for an
    # instance of it.
    typing._get_protocol_attrs = functools.cache(typing._get_protocol_attrs)


def build_applications_once():
    """Encoders are copies of networks of keras.applications, which are half of the work."""
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
                built.clear()  # The largest take several hundred megabytes.
            built[key] = build(spec, image_shape)
        return built[key]

    application_encoder._build_application = build_application


def initialize_with_numpy():
    """JAX compiles the random initialiser of each shape: half of the time of building a network."""
    import keras
    from keras.src.backend.jax import random

    def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
        values = np.random.default_rng(np.asarray(random.jax_draw_seed(seed))).normal(size=shape)
        return keras.ops.cast(mean + stddev * np.clip(values, -2, 2), dtype or "float32")

    random.truncated_normal = truncated_normal


def disable_autotuning():
    """The end of an iterator waits for TensorFlow's tuner, here in `fit` with arrays.

    Our own data sets disable it, too.
    """
    import tensorflow as tf

    def options(*arguments, init=tf.data.Options.__init__):
        init(*arguments)
        arguments[0].autotune.enabled = False

    tf.data.Options.__init__ = options


@pytest.fixture(autouse=True, scope="module")
def clear_keras():
    """Free the models of a test module: Keras' and TensorFlow's references slow later tests."""
    yield
    import keras

    # This also collects garbage.
    keras.utils.clear_session()
    # Exclude the remaining objects from later garbage collections.
    gc.freeze()


@pytest.fixture(scope="session")
def small_eseg():
    """Build a network that is small and quick to build: three levels, eight channels.

    Its encoder is known to this process only; for others, pass another `encoder`.
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

    Compiled functions are tested with the models, the predictor and slow tests of training.
    """
    with without_graphs():
        yield


@pytest.fixture(scope="module")
def module_eagerly():
    """The same for a whole module and its fixtures. What is exported is a graph in any case."""
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
