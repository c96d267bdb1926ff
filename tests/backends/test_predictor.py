"""The predictor on every backend."""

import numpy as np
import pytest
from keras import ops

from eseg_keras import ESeg
from eseg_keras.inference import Predictor
from eseg_keras.street_scenes import render_scene


@pytest.fixture(scope="module")
def model():
    return ESeg.from_preset("eseg_lite_s_streets")


@pytest.fixture(scope="module")
def image():
    return render_scene(1, "test", (64, 96))[0]


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def test_label_map_and_maps(model, image):
    prediction = Predictor(model, maps=["margin", "probabilities"])(image)
    logits = ops.convert_to_numpy(model(image[None]))[0]
    np.testing.assert_array_equal(prediction.label_map, logits.argmax(-1))
    ranked = np.sort(softmax(logits), -1)
    np.testing.assert_allclose(prediction.probabilities, softmax(logits), atol=1e-4)
    np.testing.assert_allclose(prediction.margin, ranked[..., -1] - ranked[..., -2], atol=1e-4)


def test_windows_flipped(model, image):
    predictor = Predictor(model, window=64, overlap=(0, 32), flip=True, maps=["probabilities"])
    total, weight = np.zeros((64, 96, 8)), np.zeros(96)
    fall = np.minimum(np.minimum(np.arange(1, 65), np.arange(64, 0, -1)), 33.0)
    for x in (0, 32):
        tile = image[None, :, x : x + 64]
        seen = softmax(ops.convert_to_numpy(model(tile))[0])
        mirrored = softmax(ops.convert_to_numpy(model(tile[:, :, ::-1]))[0])[:, ::-1]
        total[:, x : x + 64] += (seen + mirrored) / 2 * fall[:, None]
        weight[x : x + 64] += fall
    prediction = predictor(image)
    np.testing.assert_allclose(prediction.probabilities, total / weight[:, None], atol=1e-4)
    np.testing.assert_array_equal(prediction.label_map, prediction.probabilities.argmax(-1))


def test_results_have_the_size_of_the_image(model, image):
    prediction = Predictor(model, long_side=64, maps=["probabilities"])(image[:63])
    assert prediction.label_map.shape == (63, 96)
    np.testing.assert_allclose(prediction.probabilities.sum(-1), 1, atol=1e-5)
