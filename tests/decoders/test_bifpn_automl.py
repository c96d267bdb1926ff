"""The BiFPN of EfficientDet's code against NumPy, and its counts against formulas."""

import numpy as np

from eseg_keras.decoders import bifpn_automl_decoder
from eseg_keras.models import profile


def to_numpy(layer):
    return [np.asarray(w, "float64") for w in layer.get_weights()]


def normalise(model, name, x):
    gamma, beta, mean, variance = to_numpy(model.get_layer(name))
    return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta


def windows(x, stride, fill):
    """Return the nine cells of every 3x3 window with SAME padding: [9, h, w, c]."""
    pads = []
    for size in x.shape[:2]:
        total = max((-(-size // stride) - 1) * stride + 3 - size, 0)
        pads.append((total // 2, total - total // 2))
    padded = np.pad(x, [*pads, (0, 0)], constant_values=fill)
    return np.stack(
        [
            padded[i : padded.shape[0] - 2 + i : stride, j : padded.shape[1] - 2 + j : stride]
            for i in range(3)
            for j in range(3)
        ]
    )


def resample(model, node, level, x):
    kernel, bias = to_numpy(model.get_layer(f"{node}_{level}_resample"))
    return normalise(model, f"{node}_{level}_resample_bn", x @ kernel[0, 0] + bias)


def combine(model, node, parts):
    (w,) = to_numpy(model.get_layer(f"{node}_fusion"))
    w = np.maximum(w, 0)
    x = sum(weight * part for weight, part in zip(w / (w.sum() + 1e-4), parts, strict=True))
    x = x / (1 + np.exp(-x))
    (kernel,) = to_numpy(model.get_layer(f"{node}_depthwise"))
    x = np.einsum("khwc,kc->hwc", windows(x, 1, 0.0), kernel.reshape(9, -1))
    kernel, bias = to_numpy(model.get_layer(f"{node}_pointwise"))
    return normalise(model, f"{node}_bn", x @ kernel[0, 0] + bias)


def test_equals_numpy():
    rng = np.random.default_rng(0)
    sizes = {"P3": (9, 10, 3), "P4": (5, 5, 5), "P5": (3, 3, 6)}
    model = bifpn_automl_decoder(
        {level: (None, None, size[-1]) for level, size in sizes.items()}, 5, 4, 1, "silu"
    )
    for variable in model.variables:
        values = rng.normal(size=variable.shape)
        if variable.path.endswith("moving_variance"):
            values = rng.uniform(0.5, 2, variable.shape)
        variable.assign(values.astype("float32"))
    x = {level: rng.normal(size=size) for level, size in sizes.items()}

    def up(feature, like):
        return feature.repeat(2, 0).repeat(2, 1)[: like.shape[0], : like.shape[1]]

    def down(feature):
        return windows(feature, 2, -np.inf).max(axis=0)

    def down_to(level, name, *parts):
        return combine(model, name, [resample(model, name, level, x[level]), *parts])

    name = "bifpn_1_P4_top_down"
    middle = down_to("P4", name, up(resample(model, name, "P5", x["P5"]), x["P4"]))
    expected = {"P3": down_to("P3", "bifpn_1_P3_top_down", up(middle, x["P3"]))}
    expected["P4"] = down_to("P4", "bifpn_1_P4_bottom_up", middle, down(expected["P3"]))
    expected["P5"] = down_to("P5", "bifpn_1_P5_bottom_up", down(expected["P4"]))
    found = model({level: value[None].astype("float32") for level, value in x.items()})
    for level, value in expected.items():
        np.testing.assert_allclose(found[level][0], value, rtol=0, atol=1e-4 * np.abs(value).max())


def counts(widths, channels, repeats, size):
    """Return parameters and multiply-adds of the decoder by formula; `widths` is {level: width}."""
    cells = {level: -(-size[0] // 2**level) * -(-size[1] // 2**level) for level in widths}
    low, high = min(widths), max(widths)
    params = macs = 0
    for repeat in range(repeats):
        for level in [*range(low, high), *range(low + 1, high + 1)]:
            params += 9 * channels + channels**2 + channels + 2 * channels
            macs += cells[level] * (9 * channels + channels**2)
        # Fusion weights: two in top-down nodes and the last bottom-up node, three in others.
        params += 2 * (high - low) + 3 * (high - low - 1) + 2
        if repeat == 0:
            # Each level is an input of its top-down and its bottom-up node. The lowest level has no
            # bottom-up node. The highest level has no top-down node, but is an input of that of the
            # level below it.
            for level, width in widths.items():
                uses = 1 if level == low else 2
                params += uses * (width * channels + channels + 2 * channels)
                macs += uses * cells[level] * width * channels
    return params, macs


def test_counts_of_eseg_s():
    widths = {2: 24, 3: 40, 4: 112, 5: 320, 6: 320, 7: 320, 8: 320, 9: 320}
    params, macs = counts(widths, 96, 4, (1024, 2048))
    found = profile("eseg_s", (1024, 2048), decoder="bifpn_automl")
    decoder = [layer for layer in found.layers if layer.name.startswith("decoder/")]
    assert sum(layer.macs for layer in decoder) == macs
    # The encoder and the head are those of ESeg-S. They have as many parameters as ESeg-S without
    # its BiFPN nodes and lateral convolutions, whose parameters these two formulas count.
    nodes = 4 * 14 * (9 * 96 + 96**2 + 2 * 96) + 4 * (2 * 7 + 3 * 6 + 2)
    laterals = sum(width * 96 + 2 * 96 for width in widths.values())
    assert found.trainable_params == 6_860_547 - nodes - laterals + params == 7_036_899
    assert found.macs == 34_136_733_184
