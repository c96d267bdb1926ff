"""Keras equivalents of TensorFlow Addons follow the recorded weights of Addons.

These tests verify the replacements in docs/tensorflow_addons.md.
"""

import pathlib

import keras
import numpy as np
import pytest

from eseg_keras.trainer.training_model import TrainingModel

GOLDEN = np.load(pathlib.Path(__file__).parents[1] / "golden" / "addons_trajectories.npz")
X, Y = GOLDEN["x"], GOLDEN["y"]
STEPS = len(X)


def cosine(start):
    return keras.optimizers.schedules.CosineDecay(start, STEPS)


def sgd(rate=0.05, weight_decay=0.2, momentum=0.9, **settings):
    # The decay in Addons is 0.01; Keras multiplies its decay by the learning rate, 0.05.
    return keras.optimizers.SGD(rate, momentum=momentum, weight_decay=weight_decay, **settings)


def sgd_without_bias():
    optimizer = sgd()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


MAPPED = {
    "sgdw": lambda: {"optimizer": sgd(momentum=0.0)},
    "sgdw_momentum": lambda: {"optimizer": sgd()},
    "sgdw_momentum_without_decay": lambda: {"optimizer": sgd(weight_decay=None)},
    "sgdw_nesterov": lambda: {"optimizer": sgd(nesterov=True)},
    "sgdw_without_bias": lambda: {"optimizer": sgd_without_bias()},
    "sgdw_both_scheduled": lambda: {"optimizer": sgd(cosine(0.05))},
    "adamw": lambda: {"optimizer": keras.optimizers.AdamW(0.05, weight_decay=0.2)},
    "average_dynamic": lambda: {"optimizer": sgd(weight_decay=None), "ema_decay": 0.9998},
    "average_dynamic_limit": lambda: {"optimizer": sgd(weight_decay=None), "ema_decay": 0.6},
    "average_dynamic_sgdw": lambda: {"optimizer": sgd(), "ema_decay": 0.9998},
}


class Recorder(keras.callbacks.Callback):
    """Record weights and averages after every step."""

    def __init__(self, names):
        super().__init__()
        self.trajectory = {name: [] for name in names}

    def on_train_batch_end(self, batch, logs=None):
        kernel, bias = self.model.get_weights()
        with self.model.averaged_weights():
            average_kernel, average_bias = self.model.get_weights()
        values = {
            "kernel": kernel,
            "bias": bias,
            "average_kernel": average_kernel,
            "average_bias": average_bias,
        }
        for name, record in self.trajectory.items():
            record.append(values[name])


@pytest.mark.parametrize("recipe", MAPPED)
def test_fit_follows_the_trajectory(recipe):
    images = keras.Input((3,))
    model = TrainingModel(images, keras.layers.Dense(2)(images))
    model.compile(
        loss=lambda y_true, y_pred: 0.5 * keras.ops.sum((y_pred - y_true) ** 2), **MAPPED[recipe]()
    )
    model.set_weights([GOLDEN["kernel"], GOLDEN["bias"]])
    expected = trajectory(recipe)
    recorder = Recorder(expected)
    model.fit(X, Y, batch_size=1, shuffle=False, verbose=0, callbacks=[recorder])
    for name, values in expected.items():
        np.testing.assert_allclose(recorder.trajectory[name], values, atol=1e-5, err_msg=name)


def trajectory(recipe):
    names = ("kernel", "bias", "average_kernel", "average_bias")
    return {name: GOLDEN[f"{recipe}/{name}"] for name in names if f"{recipe}/{name}" in GOLDEN}


def test_every_recipe_is_mapped_or_known_not_to_be():
    recipes = {key.partition("/")[0] for key in GOLDEN if "/" in key}
    assert recipes == {*MAPPED, *AVERAGES_WITHOUT_AN_EQUAL, "sgdw_rate_scheduled"}


def test_constant_decay_beside_a_scheduled_rate_has_no_equal():
    """The rule of Addons: w <- w - wd w, then w <- w + m with m <- 0.9 m - lr(t) g."""
    kernel, bias = GOLDEN["kernel"], GOLDEN["bias"]
    weights, momentum = np.vstack([kernel, bias]), 0.0
    for step, (x, y) in enumerate(zip(X, Y, strict=True)):
        x = np.append(x, 1)
        momentum = 0.9 * momentum - float(cosine(0.05)(step)) * np.outer(x, x @ weights - y)
        weights = 0.99 * weights + momentum
        np.testing.assert_allclose(
            weights[:3], GOLDEN["sgdw_rate_scheduled/kernel"][step], atol=1e-5
        )
    difference = GOLDEN["sgdw_rate_scheduled/kernel"][-1] - GOLDEN["sgdw_both_scheduled/kernel"][-1]
    assert np.abs(difference).max() > 0.01


AVERAGES_WITHOUT_AN_EQUAL = {
    "average_fixed": lambda n: 0.99,
    # With `num_updates=5`, Addons uses n = 5 at every step.
    "average_fixed_num_updates": lambda n: min(0.99, (1 + 5) / (10 + 5)),
    "average_start_step": lambda n: 0.0 if n < 10 else min(0.9998, (n - 9) / n),
}


@pytest.mark.parametrize("recipe", AVERAGES_WITHOUT_AN_EQUAL)
def test_other_averages_are_what_the_documentation_says(recipe):
    average = GOLDEN["kernel"]
    for n in range(STEPS):
        d = AVERAGES_WITHOUT_AN_EQUAL[recipe](n)
        average = d * average + (1 - d) * GOLDEN[f"{recipe}/kernel"][n]
        np.testing.assert_allclose(average, GOLDEN[f"{recipe}/average_kernel"][n], atol=2e-6)
