"""Every layer: serialisation, symbolic and eager calls, mixed precision; values against NumPy."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from eseg_keras.layers import (
    AveragePooling,
    BatchNormalization,
    ImageScaling,
    NearestUpsampling,
    Resize,
    WeightedFusion,
)
from eseg_keras.layers.likeliest_class import label_map

LAYERS = {
    "average_pooling": (AveragePooling, {}, [(2, 5, 8, 3)], (2, 3, 4, 3)),
    "batch_normalization": (BatchNormalization, {}, [(2, 5, 7, 3)], (2, 5, 7, 3)),
    "image_scaling": (
        ImageScaling,
        {"scale": [0.1, 0.2, 0.3], "offset": -1.0, "reverse_channels": True},
        [(2, 5, 7, 3)],
        (2, 5, 7, 3),
    ),
    "nearest_upsampling": (NearestUpsampling, {}, [(2, 3, 4, 5), (2, 5, 8, 1)], (2, 5, 8, 5)),
    "resize": (Resize, {}, [(2, 3, 4, 5), (2, 11, 9, 1)], (2, 11, 9, 5)),
}
for _normalization in ("softmax", "fast", "sum", "constant"):
    LAYERS[f"weighted_fusion_{_normalization}"] = (
        WeightedFusion, {"normalization": _normalization}, [[(2, 3, 4, 5)] * 3], (2, 3, 4, 5),
    )  # fmt: skip


def map_shapes(function, shapes):
    return [
        [function(s) for s in shape] if isinstance(shape, list) else function(shape)
        for shape in shapes
    ]


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", LAYERS)
def test_layer(name, policy, tmp_path):
    layer_class, arguments, shapes, output_shape = LAYERS[name]
    layer = layer_class(**arguments, dtype=policy)
    rng = np.random.default_rng(0)
    data = map_shapes(lambda shape: rng.normal(size=shape).astype("float32"), shapes)

    # A symbolic call with unknown sizes, in a model that is saved.
    inputs = map_shapes(lambda shape: keras.Input((None, None, shape[-1])), shapes)
    outputs = layer(*inputs)
    assert outputs.shape == (None, None, None, output_shape[-1])
    model = keras.Model(keras.tree.flatten(inputs), outputs)
    eager = layer(*data)
    assert tuple(eager.shape) == output_shape
    expected_dtype = "float32" if layer_class is ImageScaling else layer.compute_dtype
    assert keras.backend.standardize_dtype(eager.dtype) == expected_dtype
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    flat = keras.tree.flatten(data)
    np.testing.assert_array_equal(
        np.asarray(loaded.predict_on_batch(flat), "float32"),
        np.asarray(model.predict_on_batch(flat), "float32"),
    )
    np.testing.assert_allclose(
        np.asarray(model.predict_on_batch(flat), "float32"),
        keras.ops.convert_to_numpy(keras.ops.cast(eager, "float32")),
        atol=2e-2,
    )
    again = layer_class.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def bilinear(x, height, width):
    """Resize bilinearly in NumPy, with half-pixel centres, clamped at the border."""

    def weights(out, size):
        position = np.clip((np.arange(out) + 0.5) * size / out - 0.5, 0, size - 1)
        low = np.floor(position).astype(int)
        high = np.minimum(low + 1, size - 1)
        matrix = np.zeros((out, size))
        np.add.at(matrix, (np.arange(out), low), 1 - (position - low))
        np.add.at(matrix, (np.arange(out), high), position - low)
        return matrix

    return np.einsum("yh,xw,bhwc->byxc", weights(height, x.shape[1]), weights(width, x.shape[2]), x)


@settings(max_examples=25)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 20), st.integers(0, 20))
def test_resize_equals_numpy(height, width, more_rows, more_columns):
    x = np.random.default_rng(height * 7 + width).normal(size=(1, height, width, 2))
    like = np.zeros((1, height + more_rows, width + more_columns, 1))
    np.testing.assert_allclose(
        Resize()(x.astype("float32"), like), bilinear(x, *like.shape[1:3]), atol=1e-5
    )


@settings(max_examples=25)
@given(st.integers(1, 40), st.integers(1, 40))
def test_nearest_upsampling_repeats(height, width):
    """Row i of the coarse level covers rows 2i and 2i + 1 of the finer level, also at odd sizes."""
    coarse = np.random.default_rng(0).normal(size=(1, -(-height // 2), -(-width // 2), 2))
    fine = np.zeros((1, height, width, 1))
    rows, columns = np.arange(height) // 2, np.arange(width) // 2
    np.testing.assert_array_equal(
        NearestUpsampling()(coarse.astype("float32"), fine),
        coarse.astype("float32")[:, rows][:, :, columns],
    )


@pytest.mark.parametrize("normalization", ["softmax", "fast", "constant"])
def test_fusion_scalars(normalization):
    layer = WeightedFusion(normalization)
    x = np.random.default_rng(0).normal(size=(3, 1, 2, 2, 4)).astype("float32")
    layer.build([x[0].shape] * 3)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer.w), np.ones(3))
    w = np.array([0.3, -2.0, 1.5])
    layer.w.assign(w)
    relu = np.maximum(w, 0)
    expected = {
        "softmax": np.exp(w) / np.exp(w).sum(),
        "fast": relu / (relu.sum() + 1e-4),
        "constant": w,
    }[normalization]
    fused = keras.ops.convert_to_numpy(layer(list(x)))
    np.testing.assert_allclose(fused, np.tensordot(expected, x, 1), atol=1e-6)
    assert bool(layer.trainable_variables) == (normalization != "constant")


def test_fusion_refuses_unknown_normalization():
    with pytest.raises(ValueError, match="softmax"):
        WeightedFusion("attention")


def test_image_scaling_reverses_and_scales():
    image = np.arange(12, dtype="uint8").reshape(1, 2, 2, 3)
    layer = ImageScaling(scale=[1.0, 2.0, 3.0], offset=[0.5, 0.0, -1.0], reverse_channels=True)
    expected = image[..., ::-1].astype("float32") * [1, 2, 3] + [0.5, 0, -1]
    np.testing.assert_allclose(layer(image), expected)


def test_batch_normalization_chooses_synchronisation_itself():
    assert BatchNormalization().synchronized is False
    assert "synchronized" not in BatchNormalization().get_config()
    with pytest.raises(ValueError, match="synchronized"):
        BatchNormalization(synchronized=True)


@pytest.mark.parametrize("shape", [(2, 5, 7, 3), (1, 1, 1, 4), (1, 1, 2, 1)])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_fused_batch_normalization_equals_that_of_keras(shape, dtype):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow has a fused operation")
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x, weights = rng.normal(3, 2, (2, *shape)).astype("float32")
    results = []
    for cls in BatchNormalization, keras.layers.BatchNormalization:
        layer = cls(momentum=0.7, epsilon=1e-3, dtype=dtype)
        layer.build(shape)
        for variable in layer.weights:
            variable.assign(np.random.default_rng(1).uniform(0.5, 2, variable.shape))
        with tf.GradientTape() as tape:
            images = tf.cast(tf.Variable(x), layer.compute_dtype)
            tape.watch(images)
            y = layer(images, training=True)
            loss = tf.reduce_sum(tf.cast(y, "float32") * weights)
        gradients = tape.gradient(loss, [images, *layer.trainable_variables])
        assert y.dtype == layer.compute_dtype
        results.append([*map(ops.convert_to_numpy, [y, *gradients, *layer.weights])])
    names = {operation.type for operation in _traced_operations(BatchNormalization(), shape)}
    assert "FusedBatchNormV3" in names
    tolerance = 1e-4 if dtype == "float32" else 0.02
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(
            ours.astype("float32"), theirs.astype("float32"), rtol=tolerance, atol=tolerance
        )


def _traced_operations(layer, shape):
    import tensorflow as tf

    layer.build(shape)
    step = tf.function(lambda x: layer(x, training=True))
    return step.get_concrete_function(tf.TensorSpec(shape)).graph.get_operations()


def test_moving_statistics_are_those_of_a_plain_loop():
    """With the documented momentum, initial statistics have little weight after 300 steps."""
    layer = BatchNormalization()
    batches = np.random.default_rng(0).normal(2, 3, (300, 2, 3, 3, 2)).astype("float32")
    mean, variance = np.zeros(2), np.ones(2)
    for step, batch in enumerate(batches):
        layer(batch, training=True)
        mean = 0.97 * mean + 0.03 * batch.mean((0, 1, 2), dtype="float64")
        variance = 0.97 * variance + 0.03 * batch.var((0, 1, 2), dtype="float64")
        if step in (0, 10, 299):
            np.testing.assert_allclose(ops.convert_to_numpy(layer.moving_mean), mean, rtol=1e-4)
            np.testing.assert_allclose(
                ops.convert_to_numpy(layer.moving_variance), variance, rtol=1e-4
            )
    # After 300 steps, new batches have more than 99.9% of the weight.
    constant = np.full((2, 3, 3, 2), 1000, "float32")
    for _ in range(300):
        layer(constant, training=True)
    assert (ops.convert_to_numpy(layer.moving_mean) > 999).all()


@settings(max_examples=25)
@given(st.integers(1, 12), st.integers(1, 12))
def test_average_pooling_leaves_padding_out(height, width):
    x = np.random.default_rng(0).normal(size=(1, height, width, 2))
    pads = [max((-(-size // 2) - 1) * 2 + 3 - size, 0) for size in (height, width)]
    padded = np.pad(
        x, [(0, 0), *((p // 2, p - p // 2) for p in pads), (0, 0)], constant_values=np.nan
    )
    out = np.zeros((1, -(-height // 2), -(-width // 2), 2))
    for i, j in np.ndindex(out.shape[1:3]):
        out[:, i, j] = np.nanmean(padded[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3], axis=(1, 2))
    np.testing.assert_allclose(AveragePooling()(x.astype("float32")), out, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_label_maps_take_the_first_of_the_largest(dtype):
    rng = np.random.default_rng(0)
    scores = rng.integers(-2, 3, (2, 9, 11, 150)).astype(dtype)
    scores[0, 0] = -0.0
    scores[0, 1, :, 1:] = -3
    expected = scores.argmax(-1)
    found = ops.convert_to_numpy(label_map(scores))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)
