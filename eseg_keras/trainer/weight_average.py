"""Exponential moving average of a model's weights and batch normalisation statistics."""

import contextlib

import keras
from keras import ops


class WeightAverage:
    """Moving averages of all weights of a built model, stored as variables of its built optimizer.

    Each average a starts as a copy of its weight w. After update n, counted from 0, it becomes d a
    + (1 - d) w with d = min(decay, (1 + n) / (10 + n)): at first d is small, so that the random
    initial weights are soon forgotten. The moving statistics of batch normalisation are averaged as
    well, so that they fit the averaged weights. The averages are saved, restored and replicated
    like the optimizer's momentum; they are not weights of the model.

    Reference:
        [Polyak and Juditsky, 1992](https://doi.org/10.1137/0330046); the increasing decay is
        that of TensorFlow's `ExponentialMovingAverage(num_updates=n)`
    """

    def __init__(self, model: keras.Model, decay: float):
        self.decay = decay
        self.optimizer = model.optimizer
        self.is_in_place = False
        self.weights = [w for w in model.weights if "float" in w.dtype]
        # In the inner optimizer of `LossScaleOptimizer`, so that the averages come last.
        owner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        self.averages = [
            owner.add_variable(
                w.shape,
                # Set to the weights by `restart`.
                initializer="zeros",
                dtype=w.dtype,
                aggregation="only_first_replica",
                name=f"{w.path.replace('/', '_')}_average",
            )
            for w in self.weights
        ]
        self.restart()

    @property
    def num_updates(self) -> int:
        """Number of updates of the averages."""
        return int(ops.convert_to_numpy(self.optimizer.iterations))

    def restart(self):
        """Set the averages to the weights."""
        for average, weight in zip(self.averages, self.weights, strict=True):
            average.assign(ops.copy(weight.value))

    def step_size(self, num_updates):
        """Return 1 - d for update n, a float32 scalar tensor."""
        n = ops.cast(num_updates, "float32")
        return 1.0 - ops.minimum(self.decay, (1.0 + n) / (10.0 + n))

    def moved(self, average, weight, step_size):
        """Return an average after an update. An average equal to its weight does not change."""
        return average + ops.cast(step_size, average.dtype) * (weight - average)

    def update(self, num_updates):
        """Update the averages after an update of the weights; not used on JAX.

        `num_updates` is the number of this update, counted from 0.
        """
        step_size = self.step_size(num_updates)
        for average, weight in zip(self.averages, self.weights, strict=True):
            average.assign(self.moved(average.value, weight.value, step_size))

    @contextlib.contextmanager
    def in_place(self):
        """Context manager: swap averages and weights, and swap them back at the end."""
        self._swap()
        self.is_in_place = True
        try:
            yield
        finally:
            self._swap()
            self.is_in_place = False

    def _swap(self):
        # Copy: otherwise, on JAX, two variables would share a buffer, which is then donated twice.
        for average, weight in zip(self.averages, self.weights, strict=True):
            value = ops.copy(weight.value)
            weight.assign(ops.copy(average.value))
            average.assign(value)
