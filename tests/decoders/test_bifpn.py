"""The BiFPN against plain NumPy."""

import numpy as np

from eseg_keras.decoders import BiFPN


def to_numpy(layer):
    return [np.asarray(w, "float64") for w in layer.get_weights()]


def pad_same(x, stride, fill):
    """Pad [h, w, c] for a 3x3 window like SAME padding."""
    pads = []
    for size in x.shape[:2]:
        total = max((-(-size // stride) - 1) * stride + 3 - size, 0)
        pads.append((total // 2, total - total // 2))
    return np.pad(x, [*pads, (0, 0)], constant_values=fill)


def windows(x, stride, fill):
    padded = pad_same(x, stride, fill)
    height, width = (-(-size // stride) for size in x.shape[:2])
    return np.stack(
        [
            padded[
                i : i + stride * (height - 1) + 1 : stride,
                j : j + stride * (width - 1) + 1 : stride,
            ]
            for i in range(3)
            for j in range(3)
        ]
    )


def down(x):
    return np.nanmean(windows(x, 2, np.nan), axis=0)


def up(x, like):
    return x.repeat(2, 0).repeat(2, 1)[: like.shape[0], : like.shape[1]]


def node(model, name, inputs):
    (w,) = to_numpy(model.get_layer(f"{name}_fusion"))
    w = np.maximum(w, 0)
    x = sum(weight * x for weight, x in zip(w / (w.sum() + 1e-4), inputs, strict=True))
    (kernel,) = to_numpy(model.get_layer(f"{name}_depthwise"))
    x = np.einsum("khwc,kc->hwc", windows(x, 1, 0.0), kernel.reshape(9, -1))
    (kernel,) = to_numpy(model.get_layer(f"{name}_pointwise"))
    x = x @ kernel[0, 0]
    gamma, beta, mean, variance = to_numpy(model.get_layer(f"{name}_bn"))
    x = (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    return x / (1 + np.exp(-x))


def test_equals_numpy_at_odd_sizes():
    rng = np.random.default_rng(0)
    sizes = {"P3": (11, 14), "P4": (6, 7), "P5": (3, 4), "P6": (2, 2)}
    model = BiFPN({level: (None, None, 4) for level in sizes})
    for variable in model.variables:
        variance = "variance" in variable.path
        values = (
            rng.uniform(0.5, 2, variable.shape) if variance else rng.normal(0.3, 1, variable.shape)
        )
        variable.assign(values)
    p = {level: rng.normal(size=(*size, 4)) for level, size in sizes.items()}

    t6 = p["P6"]
    t5 = node(model, "P5_top_down", [p["P5"], up(t6, p["P5"])])
    t4 = node(model, "P4_top_down", [p["P4"], up(t5, p["P4"])])
    t3 = node(model, "P3_top_down", [p["P3"], up(t4, p["P3"])])
    o4 = node(model, "P4_bottom_up", [p["P4"], t4, down(t3)])
    o5 = node(model, "P5_bottom_up", [p["P5"], t5, down(o4)])
    o6 = node(model, "P6_bottom_up", [p["P6"], down(o5)])

    outputs = model({level: x[None].astype("float32") for level, x in p.items()})
    expected = {"P3": t3, "P4": o4, "P5": o5, "P6": o6}
    for level, value in expected.items():
        np.testing.assert_allclose(
            outputs[level][0], value, rtol=0, atol=1e-4 * np.abs(value).max()
        )


def test_number_of_nodes():
    for levels, nodes in ((range(2, 10), 14), (range(3, 10), 12)):
        model = BiFPN({f"P{level}": (None, None, 8) for level in levels})
        assert sum("_fusion" in layer.name for layer in model.layers) == nodes
