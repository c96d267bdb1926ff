"""A network whose probabilities another one learns."""

import contextlib

import keras
from keras import ops

from eseg_keras.replicas import global_mean


class Teacher:
    """A network that does not train. It is no layer of the model that learns from it.

    On JAX the compiled step gets the network's weights as an argument, `values`: constants in it
    would take the memory twice, and keep the values of the first step.
    """

    def __init__(self, network: keras.Model):
        self.network = network
        self.values = None

    def check(self, model: keras.Model, distillation: float) -> None:
        """Refuse a share out of range, and a network of other channels or classes."""
        if not 0 < distillation <= 1:
            raise ValueError(f"distillation must be above 0, at most 1. Received: {distillation}")
        shapes = [
            tuple(m.input_shape[3:]) + tuple(m.output_shape[3:]) for m in (self.network, model)
        ]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"The teacher has {shapes[0][0]} channels and {shapes[0][1]} classes, the model "
                f"has {shapes[1][0]} and {shapes[1][1]}. Choose a teacher of the same classes."
            )

    def current_values(self) -> tuple[list, list]:
        """Return the weights as two lists of tensors: those that are trainable, and the others."""
        network = self.network
        variables = (network.trainable_variables, network.non_trainable_variables)
        return tuple([variable.value for variable in group] for group in variables)

    @contextlib.contextmanager
    def with_values(self, values):
        """Context manager: use these weights, arguments of a step that is being traced."""
        self.values = values
        try:
            yield
        finally:
            self.values = None

    def loss_and_count(self, images, logits):
        """Mean cross-entropy with the probabilities over all pixels, and the number of pixels.

        On a replica it is the replica's share, as that of `MaskLoss.loss_and_count`.
        """
        with no_gradients():
            target = ops.softmax(ops.cast(self._logits(images), "float32"), axis=-1)
            target = ops.stop_gradient(target)
        log_probabilities = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
        pixels = -ops.sum(target * log_probabilities, axis=-1)
        return global_mean(ops.sum(pixels), ops.cast(ops.size(pixels), "float32"))

    def _logits(self, images):
        if self.values is None:
            return self.network(images, training=False)
        return self.network.stateless_call(*self.values, images, training=False)[0]


def no_gradients():
    """Context manager: on PyTorch, compute without keeping what gradients need."""
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()
