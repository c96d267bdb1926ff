"""The exported network compared with the trained network."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from eseg_keras import ESeg
from eseg_keras.export.served_graph.level_sum import LevelSum, ResizeByProducts, bilinear_matrix
from eseg_keras.export.served_graph.network import serving_model
from eseg_keras.export.served_graph.rewriting import (
    CenterImages,
    NearestResize,
    ScaledSum,
    faster_network,
)
from eseg_keras.layers import ImageScaling, NearestUpsampling, Resize, WeightedFusion
from eseg_keras.presets.catalog import ARCHITECTURES
from eseg_keras.street_scenes import render_scene

# A multiple of all strides, a size whose pyramid levels have odd sizes, a size near the smallest,
# and a size of 9:16.
SIZES = [(128, 256), (97, 131), (33, 47), (45, 80)]


def scene(size, count=1):
    return np.stack([render_scene(index, "test", size)[0] for index in range(count)])


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def numpy(x):
    return ops.convert_to_numpy(x)


# At least one preset of each structure; the other presets only have more of the same layers.
FAST = ("eseg_edge_s", "eseg_lite_l", "eseg_lite_s", "eseg_s")


@pytest.mark.parametrize(
    "preset",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name not in FAST))
        for name in sorted(ARCHITECTURES)
    ],
)
def test_every_preset_at_even_and_odd_sizes(small_model, preset):
    channels_first = "lite" in preset
    model = small_model(preset)
    options = {"channels_first": channels_first, "pack_columns": channels_first}
    logits_model = serving_model(model, "logits", **options)
    label_model = serving_model(model, **options)
    for size in SIZES[:2]:
        images = scene(size)
        logits = numpy(model(images))
        spread = logits.max() - logits.min()
        served = numpy(logits_model(images))
        assert np.abs(served - logits).max() < 1e-5 * spread
        labels = numpy(label_model(images))
        assert labels.dtype == np.uint8
        best_two = np.sort(logits, axis=-1)[..., -2:]
        clear = best_two[..., 1] - best_two[..., 0] > 2e-5 * spread
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(labels[clear], logits.argmax(-1)[clear])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"image_size": SIZES[1]},
        {"input_dtype": "float32"},
        {"shortcut": False},
        {"ends_channels_first": True},
        {"pack_columns": True},
        {"pack_columns": True, "image_size": SIZES[0]},
    ],
    ids=str,
)
def test_trained_labels(streets, options):
    served = serving_model(streets, **options)
    for size in SIZES:
        if options.get("image_size", size) == size:
            images = scene(size, 2)
            logits = numpy(streets(images))
            labels = numpy(served(images.astype(options.get("input_dtype", "uint8"))))
            assert (labels == logits.argmax(-1)).mean() >= 0.9999


def test_probabilities(streets):
    images = scene((64, 96))
    expected = numpy(ops.softmax(streets(images)))
    served = serving_model(streets, "probabilities")
    np.testing.assert_allclose(numpy(served(images)), expected, atol=1e-4)
    assert served.output_names == ["probabilities"] and served.input.name == "images"


def own_model():
    images = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 127.5, -1.0)(images)
    features = {}
    for level in range(1, 5):
        x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
        features[level] = x
    encoder = keras.Model(images, {level: features[level] for level in (2, 3, 4)})
    return ESeg(encoder, num_classes=3, min_level=2, max_level=5, decoder_channels=8)


def test_an_encoder_of_ones_own():
    model, pixels = own_model(), scene((48, 80))
    served = serving_model(model, "logits")
    np.testing.assert_allclose(numpy(served(pixels)), numpy(model(pixels)), atol=1e-5)


@pytest.mark.parametrize("channels_first", [False, True])
def test_an_encoder_with_a_sequential_inside(channels_first):
    """ConvNeXt of keras.applications contains such `Sequential` blocks."""
    images = keras.Input((None, None, 3))
    block = keras.Sequential([layers.Conv2D(8, 4, strides=4), layers.LayerNormalization()])
    encoder = keras.Model(images, {"P2": block(layers.Rescaling(1 / 255)(images))})
    model = ESeg(encoder, num_classes=3, min_level=2, max_level=3, decoder_channels=8)
    pixels = scene((48, 80))
    expected = numpy(model(pixels))
    faster = faster_network(model.fold().encoder, channels_first=channels_first)
    assert isinstance(faster, keras.Model)
    served = serving_model(model, "logits", channels_first=channels_first)
    np.testing.assert_allclose(numpy(served(pixels)), expected, atol=1e-5)


def test_averaged_weights_are_served():
    model, pixels = own_model(), scene((64, 64), 2)
    model.compile(optimizer=keras.optimizers.SGD(0.1), ema_decay=0.5, run_eagerly=True)
    model.fit(pixels, np.zeros((2, 64, 64), "uint8"), epochs=2, verbose=0)
    with model.averaged_weights():
        expected = numpy(model(pixels))
    assert np.abs(numpy(model(pixels)) - expected).max() > 1e-3
    served = serving_model(model, "logits")
    np.testing.assert_allclose(numpy(served(pixels)), expected, atol=1e-5)


def test_the_model_stays_as_it_is(streets):
    before = [numpy(weight).copy() for weight in streets.weights]
    serving_model(streets)
    for weight, old in zip(streets.weights, before, strict=True):
        np.testing.assert_array_equal(numpy(weight), old)


@pytest.mark.parametrize(
    "options", [{"output_kind": "masks"}, {"input_dtype": "int8"}, {"output_kind": None}]
)
def test_unknown_arguments(streets, options):
    with pytest.raises(ValueError, match="must be"):
        serving_model(streets, **options)


# === The layers ===


def of_any_size(function, *arrays):
    """Run a function in a graph whose input sizes are unknown at tracing time."""
    tf = pytest.importorskip("tensorflow")
    specs = [tf.TensorSpec((None, None, None, x.shape[-1])) for x in arrays]
    return tf.function(lambda *x: function(*x), input_signature=specs)(*arrays).numpy()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("images_channels_first", [False, True])
def test_scaling_moves_into_the_convolution_and_borders_stay(reverse, images_channels_first):
    images = keras.Input((None, None, 3), name="images")
    scaling = ImageScaling([0.01, 0.02, 0.03], [-1.2, 0.4, -3.0], reverse_channels=reverse)
    model = keras.Model(images, layers.Conv2D(4, 5, strides=2, padding="same")(scaling(images)))
    model.layers[-1].bias.assign(values(4))
    pixels = scene((33, 46))
    # Padding is zero after the scaling, so it differs from the pixel value 0 at the borders.
    expected = numpy(model(pixels))
    faster = faster_network(model, images_channels_first=images_channels_first)
    assert [type(layer) for layer in faster.layers[1:]] == [CenterImages, layers.Conv2D]
    assert faster.layers[1].channels_first == images_channels_first
    np.testing.assert_allclose(numpy(faster(pixels)), expected, atol=1e-5)


def test_scaling_that_feeds_two_layers_stays():
    images = keras.Input((None, None, 3), name="images")
    scaled = ImageScaling(0.01, -1.0)(images)
    convolved = layers.Conv2D(3, 3, padding="same")(scaled)
    model = keras.Model(images, layers.Add()([scaled, convolved]))
    pixels = scene((32, 33))
    expected = numpy(model(pixels))
    np.testing.assert_array_equal(numpy(faster_network(model)(pixels)), expected)


def test_scaling_before_a_shared_convolution_stays():
    images = keras.Input((None, None, 3), name="images")
    convolution = layers.Conv2D(3, 3, padding="same")
    first = convolution(ImageScaling(0.01, -1.0)(images))
    model = keras.Model(images, convolution(first))
    pixels = scene((32, 33))
    expected = numpy(model(pixels))
    np.testing.assert_array_equal(numpy(faster_network(model)(pixels)), expected)


def fusion_model(weights, kind="constant"):
    fine, coarse = keras.Input((None, None, 4)), keras.Input((None, None, 4))
    up = NearestUpsampling()(coarse, fine)
    fusion = WeightedFusion(kind)
    x = fusion([fine, up])
    output = layers.DepthwiseConv2D(3, padding="same")(x)
    if kind != "sum":
        fusion.set_weights([np.asarray(weights, "float32")])
    return keras.Model([fine, coarse], output)


@pytest.mark.parametrize("weights", [(0.3, 0.7), (0.0, 1.0), (1.0, 0.0), (1e-7, 1.0), (0.0, 0.0)])
@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
def test_scalars_of_a_fusion_move(weights, size):
    model = fusion_model(weights)
    fine, coarse = values(2, *size, 4), values(2, -(-size[0] // 2), -(-size[1] // 2), 4, seed=1)
    expected = numpy(model([fine, coarse]))
    faster = faster_network(model)
    kinds = {type(layer) for layer in faster.layers}
    assert {ScaledSum, NearestResize} <= kinds and WeightedFusion not in kinds
    np.testing.assert_allclose(numpy(faster([fine, coarse])), expected, atol=1e-6)


def test_upsampling_that_feeds_two_layers_keeps_its_values():
    fine, coarse = keras.Input((None, None, 4)), keras.Input((None, None, 4))
    up = NearestUpsampling()(coarse, fine)
    fusion = WeightedFusion("fast")
    model = keras.Model([fine, coarse], layers.Add()([fusion([fine, up]), up]))
    fusion.set_weights([np.array([0.5, 2.0], "float32")])
    inputs = [values(1, 6, 5, 4), values(1, 3, 3, 4, seed=1)]
    expected = numpy(model(inputs))
    np.testing.assert_allclose(numpy(faster_network(model)(inputs)), expected, atol=1e-6)


def test_a_fusion_that_is_an_output_keeps_its_values():
    fine, coarse = keras.Input((None, None, 4)), keras.Input((None, None, 4))
    fusion = WeightedFusion("fast")
    x = fusion([fine, NearestUpsampling()(coarse, fine)])
    model = keras.Model([fine, coarse], [x, layers.DepthwiseConv2D(3, padding="same")(x)])
    fusion.set_weights([np.array([0.5, 2.0], "float32")])
    inputs = [values(1, 6, 5, 4), values(1, 3, 3, 4, seed=1)]
    expected = [numpy(x) for x in model(inputs)]
    for result, wanted in zip(faster_network(model)(inputs), expected, strict=True):
        np.testing.assert_allclose(numpy(result), wanted, atol=1e-6)


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("sizes", [[(16, 24), (8, 12), (2, 3)], [(13, 7), (7, 4), (4, 2), (1, 1)]])
def test_level_sum_is_resizing_and_adding(sizes, channels_first):
    levels = [values(2, *size, 3, seed=index) for index, size in enumerate(sizes)]
    scalars = [0.4, 1.0, -2.0, 0.5][: len(levels)]
    expected = sum(
        scalar * numpy(Resize()(x, levels[0])) for scalar, x in zip(scalars, levels, strict=True)
    )
    layer = LevelSum(scalars, channels_first)
    np.testing.assert_allclose(numpy(layer(levels)), expected, atol=1e-5)
    result = of_any_size(lambda *tensors: layer(list(tensors)), *levels)
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("channels_first", [False, True])
def test_a_level_sum_replaces_the_resizing_of_each_level(small_model, channels_first):
    head = small_model("eseg_lite_s").fold().head
    assert sum(isinstance(layer, Resize) for layer in head.layers) > 1
    kinds = [type(layer) for layer in faster_network(head, channels_first=channels_first).layers]
    assert kinds.count(LevelSum) == 1 and not any(issubclass(kind, Resize) for kind in kinds)


@pytest.mark.parametrize("size_in, size", [(1, 5), (3, 12), (5, 13), (7, 7), (129, 1031)])
def test_bilinear_matrix(size_in, size):
    x = values(size_in)
    centres = (np.arange(size_in) + 0.5) / size_in
    expected = np.interp((np.arange(size) + 0.5) / size, centres, x)
    matrix = bilinear_matrix(size, size_in)
    np.testing.assert_allclose(matrix @ x, expected, atol=1e-5)
    dynamic = numpy(bilinear_matrix(ops.convert_to_tensor(size), ops.convert_to_tensor(size_in)))
    np.testing.assert_allclose(dynamic, matrix, atol=2e-4)


@pytest.mark.parametrize("size", [(16, 24), (15, 23)])
def test_resize_by_products_is_the_resize(size):
    x, like = values(2, 4, 6, 3), values(1, *size, 1)
    expected = numpy(Resize()(x, like))
    np.testing.assert_allclose(numpy(ResizeByProducts()(x, like)), expected, atol=1e-5)


@pytest.mark.parametrize("height", [1, 2, 3, 8, 9, 135, 511])
def test_nearest_resize_repeats_and_crops(height):
    x = values(1, height, height, 2)
    for size in {2 * height, 2 * height - 1}:
        expected = np.repeat(np.repeat(x, 2, 1), 2, 2)[:, :size, : 2 * height]
        like = np.zeros((1, size, 2 * height, 1), "float32")
        np.testing.assert_array_equal(numpy(NearestResize(1.0)(x, like)), expected)
        np.testing.assert_array_equal(of_any_size(NearestResize(1.0), x, like), expected)
