"""The other decoders of the paper, FPN and DeepLabV3+, against NumPy."""

import numpy as np
import pytest

from eseg_keras.decoders import deeplabv3plus_decoder, fpn_decoder


def to_numpy(layer):
    return [np.asarray(w, "float64") for w in layer.get_weights()]


def randomize(model):
    rng = np.random.default_rng(0)
    for variable in model.variables:
        values = rng.normal(size=variable.shape)
        if variable.path.endswith("moving_variance"):
            values = rng.uniform(0.5, 2, variable.shape)
        variable.assign(values.astype("float32"))


def convolve(x, kernel, rate=1):
    """Convolve [h, w, c] with [k, k, c, d] at a dilation rate, with zero padding."""
    size = len(kernel)
    reach = rate * (size // 2)
    padded = np.pad(x, [(reach, reach), (reach, reach), (0, 0)])
    height, width = x.shape[:2]
    return sum(
        padded[rate * i : rate * i + height, rate * j : rate * j + width] @ kernel[i, j]
        for i in range(size)
        for j in range(size)
    )


def activate(model, name, x):
    """Apply batch normalisation and SiLU."""
    gamma, beta, mean, variance = to_numpy(model.get_layer(f"{name}_bn"))
    x = (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    return x / (1 + np.exp(-x))


def bilinear(size, size_in):
    """Return the bilinear matrix [size, size_in] of one axis, with half-pixel centres."""
    centres = (np.arange(size_in) + 0.5) / size_in
    wanted = (np.arange(size) + 0.5) / size
    return np.stack([np.interp(wanted, centres, unit) for unit in np.eye(size_in)], axis=1)


def upsample(x, size):
    rows, columns = map(bilinear, size, x.shape[:2])
    return np.einsum("ih,jw,hwc->ijc", rows, columns, x)


def test_fpn_equals_numpy_at_odd_sizes():
    rng = np.random.default_rng(0)
    sizes = {"P3": (11, 14, 5), "P4": (6, 7, 3)}
    model = fpn_decoder(
        {level: (None, None, size[-1]) for level, size in sizes.items()}, 5, 4, 2, "silu"
    )
    randomize(model)
    inputs = {level: rng.normal(size=size) for level, size in sizes.items()}
    # P5: 3x3 averages of P4 that exclude the padding. At this size, SAME pads P4 at the bottom,
    # left and right.
    padded = np.pad(inputs["P4"], [(0, 1), (1, 1), (0, 0)], constant_values=np.nan)
    pooled = [
        [np.nanmean(padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 3], axis=(0, 1)) for j in range(4)]
        for i in range(3)
    ]
    features = {}
    for level, x in {**inputs, "P5": np.array(pooled)}.items():
        (kernel,) = to_numpy(model.get_layer(f"{level}_lateral"))
        gamma, beta, mean, variance = to_numpy(model.get_layer(f"{level}_lateral_bn"))
        features[level] = (x @ kernel[0, 0] - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    for repeat in (1, 2):
        above = None
        for level in ("P5", "P4", "P3"):
            if above is not None:
                height, width = features[level].shape[:2]
                features[level] = features[level] + above.repeat(2, 0).repeat(2, 1)[:height, :width]
            above = features[level]
        for level, x in features.items():
            (kernel,) = to_numpy(model.get_layer(f"fpn_{repeat}_{level}_conv"))
            features[level] = activate(model, f"fpn_{repeat}_{level}", convolve(x, kernel))
    found = model({level: x[None].astype("float32") for level, x in inputs.items()})
    assert list(found) == list(features)
    for level, x in features.items():
        np.testing.assert_allclose(found[level][0], x, rtol=0, atol=1e-4 * np.abs(x).max())


@pytest.mark.parametrize("size", [(20, 23), (3, 4)])
def test_deeplabv3plus_equals_numpy(size):
    rng = np.random.default_rng(0)
    low_size = (4 * size[0] - 1, 4 * size[1] - 3)
    shapes = {"P2": (None, None, 5), "P3": (None, None, 2), "P4": (None, None, 3)}
    model = deeplabv3plus_decoder(shapes, 4, 6, 2, "silu")
    randomize(model)
    low, top = rng.normal(size=(*low_size, 5)), rng.normal(size=(*size, 3))

    def block(x, name, rate=1):
        (kernel,) = to_numpy(model.get_layer(f"{name}_conv"))
        return activate(model, name, convolve(x, kernel, rate))

    branches = [block(top, "aspp_1x1")]
    branches += [block(top, f"aspp_rate_{rate}", rate) for rate in (6, 12, 18)]
    pooled = block(top.mean(axis=(0, 1), keepdims=True), "aspp_image")
    branches.append(np.broadcast_to(pooled, (*size, 6)))
    x = block(np.concatenate(branches, axis=-1), "aspp_projection")
    x = np.concatenate([upsample(x, low_size), block(low, "low_level")], axis=-1)
    for repeat in (1, 2):
        (depthwise,) = to_numpy(model.get_layer(f"separable_{repeat}_depthwise"))
        kernel = np.einsum("ijc,cd->ijcd", depthwise[..., 0], np.eye(x.shape[-1]))
        (pointwise,) = to_numpy(model.get_layer(f"separable_{repeat}_pointwise"))
        x = activate(model, f"separable_{repeat}", convolve(x, kernel) @ pointwise[0, 0])
    found = model({"P2": low[None].astype("float32"), "P4": top[None].astype("float32")})
    assert list(found) == ["P2"]
    np.testing.assert_allclose(found["P2"][0], x, rtol=0, atol=1e-4 * np.abs(x).max())


@pytest.mark.parametrize("levels, max_level", [((2, 3), 5), ((2,), 2)])
def test_deeplabv3plus_refuses_levels_that_it_would_have_to_add(levels, max_level):
    shapes = {f"P{level}": (None, None, 4) for level in levels}
    with pytest.raises(ValueError, match=f"adds no levels.* Received: max_level={max_level}"):
        deeplabv3plus_decoder(shapes, max_level, 8, 1, "silu")
