"""Settings that hold for every test."""

import os

# Set before Keras or TensorFlow is imported by any test module.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
