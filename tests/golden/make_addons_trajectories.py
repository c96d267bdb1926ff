"""Write addons_trajectories.npz: weights after every step of TensorFlow Addons' optimizers.

TensorFlow Addons cannot be imported together with Keras 3: run this in a separate environment:

    python3.11 -m venv .venv-addons
    .venv-addons/bin/pip install -r tests/golden/addons_requirements.txt
    .venv-addons/bin/python tests/golden/make_addons_trajectories.py

Every recipe trains the same linear regression with one example per step. The file contains the
examples ("x", "y"), the initial weights, and for each recipe the weights after every step, and
their moving averages if the recipe has averages.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa

FILE = Path(__file__).with_name("addons_trajectories.npz")
STEPS = 40


def cosine(start):
    return tf.keras.optimizers.schedules.CosineDecay(start, STEPS)


def sgd():
    return tf.keras.optimizers.legacy.SGD(0.05, momentum=0.9)


def average(optimizer, **settings):
    return tfa.optimizers.MovingAverage(optimizer, **settings)


RECIPES = {
    "sgdw": lambda: tfa.optimizers.SGDW(weight_decay=0.01, learning_rate=0.05),
    "sgdw_momentum": lambda: tfa.optimizers.SGDW(
        weight_decay=0.01, learning_rate=0.05, momentum=0.9
    ),
    "sgdw_momentum_without_decay": lambda: tfa.optimizers.SGDW(
        weight_decay=0.0, learning_rate=0.05, momentum=0.9
    ),
    "sgdw_nesterov": lambda: tfa.optimizers.SGDW(
        weight_decay=0.01, learning_rate=0.05, momentum=0.9, nesterov=True
    ),
    "sgdw_without_bias": lambda: tfa.optimizers.SGDW(
        weight_decay=0.01, learning_rate=0.05, momentum=0.9, exclude_from_weight_decay=["bias"]
    ),
    "sgdw_both_scheduled": lambda: tfa.optimizers.SGDW(
        weight_decay=cosine(0.01), learning_rate=cosine(0.05), momentum=0.9
    ),
    "sgdw_rate_scheduled": lambda: tfa.optimizers.SGDW(
        weight_decay=0.01, learning_rate=cosine(0.05), momentum=0.9
    ),
    "adamw": lambda: tfa.optimizers.AdamW(weight_decay=0.01, learning_rate=0.05),
    "average_dynamic": lambda: average(sgd(), average_decay=0.9998, dynamic_decay=True),
    # The growing decay reaches 0.6 after 13 steps.
    "average_dynamic_limit": lambda: average(sgd(), average_decay=0.6, dynamic_decay=True),
    "average_dynamic_sgdw": lambda: average(
        tfa.optimizers.SGDW(weight_decay=0.01, learning_rate=0.05, momentum=0.9),
        average_decay=0.9998,
        dynamic_decay=True,
    ),
    "average_fixed": lambda: average(sgd(), average_decay=0.99),
    "average_fixed_num_updates": lambda: average(sgd(), average_decay=0.99, num_updates=5),
    "average_start_step": lambda: average(
        sgd(), average_decay=0.9998, dynamic_decay=True, start_step=10
    ),
}


def train(optimizer, arrays):
    """Return the weights and averages after every step, by name."""
    kernel = tf.Variable(arrays["kernel"], name="kernel")
    bias = tf.Variable(arrays["bias"], name="bias")
    trajectory = {"kernel": [], "bias": []}
    for x, y in zip(arrays["x"], arrays["y"], strict=True):
        with tf.GradientTape() as tape:
            loss = 0.5 * tf.reduce_sum((tf.linalg.matvec(kernel, x, True) + bias - y) ** 2)
        gradients = tape.gradient(loss, [kernel, bias])
        optimizer.apply_gradients(zip(gradients, [kernel, bias], strict=True))
        for name, variable in (("kernel", kernel), ("bias", bias)):
            trajectory[name].append(variable.numpy())
            if "average" in optimizer.get_slot_names():
                averages = trajectory.setdefault(f"average_{name}", [])
                averages.append(optimizer.get_slot(variable, "average").numpy())
    return {name: np.stack(values) for name, values in trajectory.items()}


def main():
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.normal(size=(STEPS, 3)),
        "y": rng.normal(size=(STEPS, 2)),
        "kernel": rng.normal(size=(3, 2)),
        "bias": rng.normal(size=2),
    }
    arrays = {name: array.astype("float32") for name, array in arrays.items()}
    for recipe, make in RECIPES.items():
        for name, values in train(make(), arrays).items():
            arrays[f"{recipe}/{name}"] = values
    versions = f"tensorflow {tf.__version__}, tensorflow-addons {tfa.__version__}"
    np.savez_compressed(FILE, versions=versions, **arrays)
    print(f"{FILE}: {len(RECIPES)} recipes, {versions}")


if __name__ == "__main__":
    main()
