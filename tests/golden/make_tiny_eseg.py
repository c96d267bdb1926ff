"""Write tiny_eseg.{h5,keras,npz}: run once, with Keras 3.13, the oldest supported version.

python tests/golden/make_tiny_eseg.py
"""

import pathlib

import keras
import numpy as np

from eseg_keras import ESeg
from eseg_keras.presets.weights_file import named_variables, write_weights

HERE = pathlib.Path(__file__).parent


def build() -> ESeg:
    """Build the network of the golden checkpoint, with new random weights."""
    x = inputs = keras.Input((None, None, 3))
    features = {}
    for level, stride in (("P3", 8), ("P4", 2)):
        x = keras.layers.Conv2D(4, 3, strides=stride, padding="same", name=f"{level}_conv")(x)
        features[level] = x
    encoder = keras.Model(inputs, features, name="encoder")
    return ESeg(
        encoder, num_classes=3, min_level=3, max_level=4, decoder_channels=4, decoder_repeats=2
    )


def images() -> np.ndarray:
    """Return two images of an odd size."""
    return np.random.default_rng(0).integers(0, 256, (2, 45, 61, 3), dtype="uint8")


def main():
    """Write the files."""
    model = build()
    rng = np.random.default_rng(1)
    for name, variable in named_variables(model).items():
        low, high = (0.5, 1.5) if "variance" in name or "gamma" in name else (-0.4, 0.4)
        # Values that half precision represents exactly.
        variable.assign(rng.uniform(low, high, variable.shape).astype("float16"))
    write_weights(model, HERE / "tiny_eseg.h5", "float16")
    model.save(HERE / "tiny_eseg.keras")
    np.savez_compressed(
        HERE / "tiny_eseg.npz", logits=model.predict_on_batch(images())[:, ::3, ::3]
    )


if __name__ == "__main__":
    main()
