import numpy as np
import pytest

from eseg_keras.latency.exporting import boundary_share, untrained_network
from eseg_keras.street_scenes import render_scene


def test_boundary_share_is_that_of_a_plain_count():
    labels = np.random.default_rng(0).integers(0, 3, (2, 5, 7))
    squares = [
        len({*labels[b, y : y + 2, x : x + 2].ravel()}) > 1
        for b in range(2)
        for y in range(4)
        for x in range(6)
    ]
    assert boundary_share(labels) == pytest.approx(np.mean(squares))


def test_labels_are_neither_noise_nor_all_the_same():
    image = render_scene(0, "test", (128, 192))[0]
    model = untrained_network("eseg_lite_s", image)
    logits = np.asarray(model(image[None], training=False))
    assert np.isfinite(logits).all() and logits.std() > 0.1
    share = boundary_share(logits[:, 4::8, 4::8].argmax(-1))
    assert 0.1 < share < 0.25, share
    # The momentum of batch normalisation is restored.
    bn = model.head.get_layer("bn")
    assert 0.9 < bn.momentum < 1
    again = untrained_network("eseg_lite_s", image)
    np.testing.assert_array_equal(np.asarray(again(image[None], training=False)), logits)
