"""Write golden_logits.npz: run once, on the TensorFlow backend.

    python tests/backends/make_golden_logits.py

Every backend is compared with these logits, so all of them agree with each other.
"""

import pathlib
import zlib

import numpy as np

from eseg_keras import ESeg
from eseg_keras.presets.weights_file import named_variables

FILE = pathlib.Path(__file__).with_name("golden_logits.npz")
# Both kinds of encoders and activations, and the other decoders of the paper. At 360x480, some
# levels have odd sizes.
SMALL = {"preset": "eseg_lite_s", "decoder_channels": 8, "max_level": 5}
NETWORKS = {
    "eseg_lite_s": {"preset": "eseg_lite_s"},
    "eseg_s": {"preset": "eseg_s"},
    "fpn": {**SMALL, "decoder": "fpn"},
    "deeplabv3plus": {**SMALL, "decoder": "deeplabv3plus", "output_stride": 16},
}
# Every 9th pixel of both axes is stored: the file is small, but contains all positions relative to
# the stride-8 grid.
STEP = 9


def build(name: str) -> ESeg:
    """Build a network with random weights that depend on the names of the variables only."""
    model = ESeg.from_preset(num_classes=4, load_weights=False, **NETWORKS[name])
    for path, variable in named_variables(model).items():
        rng = np.random.default_rng(zlib.crc32(path.encode()))
        leaf, shape = path.split("/")[-1], tuple(variable.shape)
        if leaf in ("gamma", "moving_variance", "w"):
            values = rng.uniform(0.5, 1.5, shape)
        elif leaf in ("beta", "moving_mean", "bias"):
            values = rng.normal(0, 0.1, shape)
        else:
            values = rng.normal(0, (2 / max(1, np.prod(shape[:-1]))) ** 0.5, shape)
        variable.assign(values.astype("float32"))
    return model


def images() -> np.ndarray:
    """Return one image of 360x480: blocks of random colours, with noise."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (1, 12, 16, 3)).repeat(30, 1).repeat(30, 2)
    return np.clip(blocks + rng.normal(0, 20, blocks.shape), 0, 255).astype("uint8")


def main():
    """Write the file."""
    logits = {name: build(name).predict_on_batch(images())[0, ::STEP, ::STEP] for name in NETWORKS}
    np.savez_compressed(FILE, **logits)


if __name__ == "__main__":
    main()
