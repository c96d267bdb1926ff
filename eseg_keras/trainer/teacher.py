"""The teacher network of a distillation."""

import contextlib

import keras
from keras import ops

from eseg_keras.replicas import global_mean


class Teacher:
    """A teacher network. It is not trained, and it is not a layer of the student model.

    On JAX, the compiled step receives the teacher's weights (`values`) together with each batch. As
    constants of the compiled step, the weights would be stored twice and would keep the values of
    the first step.
    """

    def __init__(self, network: keras.Model):
        self.network = network
        self.values = None

    def check(self, model: keras.Model, distillation: float) -> None:
        """Raise ValueError if `distillation` is out of range, or if channels or classes differ."""
        if not 0 < distillation <= 1:
            raise ValueError(
                f"distillation must be above 0 and at most 1. Received: {distillation}"
            )
        shapes = [
            tuple(m.input_shape[3:]) + tuple(m.output_shape[3:]) for m in (self.network, model)
        ]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"The teacher has {shapes[0][0]} channels and {shapes[0][1]} classes, the model "
                f"has {shapes[1][0]} and {shapes[1][1]}. Choose a teacher with the same classes."
            )

    def current_values(self) -> tuple[list, list]:
        """Return the weights as two lists of tensors: trainable and non-trainable."""
        network = self.network
        variables = (network.trainable_variables, network.non_trainable_variables)
        return tuple([variable.value for variable in group] for group in variables)

    @contextlib.contextmanager
    def with_values(self, values):
        """Context manager: run the teacher with `values` as its weights."""
        self.values = values
        try:
            yield
        finally:
            self.values = None

    def loss_and_count(self, images, logits):
        """Return the mean cross-entropy with the teacher, and the pixel count.

        On several replicas, the loss is the share of this replica, as in `MaskLoss.loss_and_count`.
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
    """Context manager: disable gradients on PyTorch; do nothing on other backends."""
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()
