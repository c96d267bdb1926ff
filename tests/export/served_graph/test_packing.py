"""Convolutions on rows of images and on packed columns, compared with `Conv2D`."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from eseg_keras import ESeg
from eseg_keras.export.served_graph.packing import CenterRows, PackedConv, PackingConv, RowConv
from eseg_keras.export.served_graph.rewriting import CenterImages, faster_network
from eseg_keras.layers import ImageScaling

SIZES = [(8, 12), (9, 13), (7, 10), (6, 5)]


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def convolution(channels, filters, kernel=3, strides=1, activation=None):
    layer = layers.Conv2D(filters, kernel, strides, padding="same", activation=activation)
    layer.build((None, None, None, channels))
    layer.bias.assign(values(filters, seed=1))
    return layer


def of_any_size(function, x):
    """Run a function in a graph whose input size is unknown at tracing time."""
    tf = pytest.importorskip("tensorflow")
    spec = tf.TensorSpec((None, None, None, x.shape[-1]))
    return tf.function(function, input_signature=[spec])(x).numpy()


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kernel, strides", [(3, 2), (5, 2), (3, 1), (1, 2), ((3, 5), (4, 3))])
@pytest.mark.parametrize("channels, activation", [(3, None), (1, "relu"), (4, "relu")])
def test_rows(size, kernel, strides, channels, activation):
    wanted = convolution(channels, 5, kernel, strides, activation)
    means = [3.0, -1.5, 0.25, 7.0][:channels]
    images = 10 * values(2, *size, channels)
    expected = ops.convert_to_numpy(wanted(images - np.array(means, "float32")))
    center, rows = CenterRows(means), RowConv(wanted)
    joined = center(images)
    assert joined.shape == (2, size[0], size[1] * channels, 1)
    np.testing.assert_allclose(ops.convert_to_numpy(rows(joined)), expected, atol=2e-5)
    result = of_any_size(lambda x: rows(center(x)), images)
    np.testing.assert_allclose(result, expected, atol=2e-5)
    symbolic = rows(center(keras.Input((*size, channels))))
    assert symbolic.shape[1:] == expected.shape[1:]
    assert rows(center(keras.Input((None, None, channels)))).shape == (None, None, None, 5)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_packed_columns(size):
    first, second = convolution(4, 6), convolution(6, 7, strides=2, activation="tanh")
    x = values(2, *size, 4)
    expected = ops.convert_to_numpy(second(ops.relu(first(x))))
    packing, packed = PackingConv(first), PackedConv(second)
    between = ops.relu(packing(x))
    is_even = size[1] % 2 == 0
    shape = (size[1] // 2, 12) if is_even else (size[1], 6)
    assert between.shape == (2, size[0], *shape)
    np.testing.assert_allclose(ops.convert_to_numpy(packed(between)), expected, atol=1e-5)
    result = of_any_size(lambda x: packed(ops.relu(packing(x))), x)
    np.testing.assert_allclose(result, expected, atol=1e-5)
    symbolic = packing(keras.Input((*size, 4)))
    assert symbolic.shape[1:] == between.shape[1:]
    assert packed(symbolic).shape[1:] == expected.shape[1:]
    assert packing(keras.Input((None, None, 4))).shape == (None, None, None, 6)


def network(filters=8, padding="same", branch=False, activation=None):
    images = keras.Input((None, None, 3), name="images")
    x = ImageScaling(0.02, -2.0)(images)
    x = layers.Conv2D(16, 3, strides=2, padding=padding)(x)
    x = layers.Conv2D(filters, 3, padding="same", activation=activation)(layers.ReLU()(x))
    x = packable = layers.ReLU()(x)
    x = layers.ReLU()(layers.Conv2D(12, 3, strides=2, padding="same")(x))
    return keras.Model(images, [x, layers.MaxPooling2D()(packable)] if branch else x)


def kinds(model):
    return {type(layer) for layer in model.layers}


def test_what_is_packed():
    new = {CenterRows, RowConv, PackingConv, PackedConv}
    assert new <= kinds(faster_network(network(), pack_columns=True))
    assert not new & kinds(faster_network(network()))
    # Two columns of 9 filters do not fit into one block of 16.
    assert new & kinds(faster_network(network(9), pack_columns=True)) == {CenterRows, RowConv}
    # Another layer reads the columns in between, or an activation such as softmax would mix them.
    for options in ({"branch": True}, {"activation": "softmax"}):
        found = kinds(faster_network(network(**options), pack_columns=True))
        assert new & found == {CenterRows, RowConv}
    valid = kinds(faster_network(network(padding="valid"), pack_columns=True))
    assert CenterImages in valid and RowConv not in valid


@pytest.mark.parametrize(
    "preset, packs", [("eseg_lite_s", True), ("eseg_lite_m", False), ("eseg_edge_s", False)]
)
def test_what_is_packed_in_the_presets(preset, packs):
    model = ESeg.from_preset(preset, load_weights=False)
    found = kinds(faster_network(model.fold().encoder, pack_columns=True))
    assert {CenterRows, RowConv} <= found
    assert (PackingConv in found, PackedConv in found) == (packs, packs)


def test_layers_that_are_called_twice_stay():
    images = keras.Input((None, None, 3), name="images")
    relu, convolution = layers.ReLU(), layers.Conv2D(8, 3, padding="same")
    x = relu(layers.Conv2D(8, 3, strides=2, padding="same")(ImageScaling(0.02, -2.0)(images)))
    x = relu(convolution(relu(convolution(x))))
    model = keras.Model(images, layers.Conv2D(4, 3, strides=2, padding="same")(x))
    pixels = values(1, 24, 32, 3)
    expected = ops.convert_to_numpy(model(pixels))
    faster = faster_network(model, pack_columns=True)
    assert not {PackingConv, PackedConv} & kinds(faster)
    np.testing.assert_allclose(ops.convert_to_numpy(faster(pixels)), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(24, 32), (21, 27), (22, 30)], ids=str)
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("is_fixed", [True, False])
def test_the_outputs_stay(size, padding, is_fixed):
    model = network(padding=padding)
    images = np.random.default_rng(0).integers(0, 256, (1, *size, 3)).astype("uint8")
    expected = ops.convert_to_numpy(model(images.astype("float32")))
    inputs = keras.Input((*size, 3) if is_fixed else (None, None, 3), dtype="uint8")
    faster = faster_network(model, inputs, pack_columns=True)
    np.testing.assert_allclose(ops.convert_to_numpy(faster(images)), expected, atol=1e-5)
