"""Building under a dtype policy, for constructors that take no `dtype`."""

import contextlib

import keras


@contextlib.contextmanager
def dtype_scope(dtype):
    """Set the global dtype policy while a model is built.

    The constructors of keras.applications take no `dtype`; their layers take the global policy.

    Args:
        dtype: A policy, its name, or `None` for the global policy as it is.

    Yields:
        The policy in force.
    """
    before = keras.config.dtype_policy()
    if dtype is not None:
        keras.config.set_dtype_policy(dtype)
    try:
        yield keras.config.dtype_policy()
    finally:
        keras.config.set_dtype_policy(before)
