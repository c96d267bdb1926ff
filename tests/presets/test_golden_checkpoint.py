"""A golden checkpoint: loading weights in another order would change its logits."""

import pathlib

import keras
import numpy as np

from eseg_keras.presets.weights_file import read_weights

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


def load_maker():
    namespace = {"__file__": str(GOLDEN / "make_tiny_eseg.py"), "__name__": "make_tiny_eseg"}
    exec((GOLDEN / "make_tiny_eseg.py").read_text(), namespace)
    return namespace


def check(model):
    maker = load_maker()
    expected = np.load(GOLDEN / "tiny_eseg.npz")["logits"]
    logits = model.predict_on_batch(maker["images"]())[:, ::3, ::3]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_weights_by_name():
    model = load_maker()["build"]()
    read_weights(model, GOLDEN / "tiny_eseg.h5")
    check(model)


def test_keras_file():
    check(keras.models.load_model(GOLDEN / "tiny_eseg.keras"))


def test_files_are_small():
    assert sum(path.stat().st_size for path in GOLDEN.glob("tiny_eseg.*")) < 200_000
