"""Gradients and compiled calls of a loss, on any backend."""

import keras
import numpy as np
import pytest


def _gradient(loss, masks, logits):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        variable = tf.Variable(logits)
        with tf.GradientTape() as tape:
            value = loss(masks, variable)
        return tape.gradient(value, variable).numpy()
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(lambda given: loss(masks, given))(logits))
    import torch

    tensor = torch.tensor(logits, requires_grad=True)
    loss(masks, tensor).backward()
    return tensor.grad.numpy()


def _compiled(loss, masks, logits):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        step = tf.function(lambda given: loss(masks, given), jit_compile=True)
        with tf.GradientTape() as tape:
            given = tf.Variable(logits)
            value = step(given)
        return float(value), tape.gradient(value, given).numpy()
    if keras.backend.backend() == "jax":
        import jax

        value, gradient = jax.jit(jax.value_and_grad(lambda given: loss(masks, given)))(logits)
        return float(value), np.asarray(gradient)
    pytest.skip("losses run eagerly in PyTorch")


@pytest.fixture(scope="session")
def gradient():
    """Return f(loss, masks, logits) -> NumPy gradient with respect to the logits."""
    return _gradient


@pytest.fixture(scope="session")
def compiled():
    """Return f(loss, masks, logits) -> value and gradient, compiled by XLA."""
    return _compiled
