"""Build models under a dtype policy: the constructors of keras.applications take no `dtype`."""

import contextlib

import keras


@contextlib.contextmanager
def dtype_scope(dtype):
    """Set the global dtype policy while a model is built."""
    before = keras.config.dtype_policy()
    if dtype is not None:
        keras.config.set_dtype_policy(dtype)
    try:
        yield keras.config.dtype_policy()
    finally:
        keras.config.set_dtype_policy(before)
