"""Dilated encoders with output stride 16 and 8 against the encoders with stride 32."""

import functools

import numpy as np
import pytest

from eseg_keras.encoders import build_encoder

NAMES = [
    "fused_efficientnet_s",
    "efficientnet_lite0",
    "efficientnet_b0",
    "efficientnet_v2_b0",
    "resnet50",
    "mobilenet_v2",
    "mobilenet_v3_small",
]
IMAGES = np.random.default_rng(0).integers(0, 256, (1, 65, 97, 3))


@functools.lru_cache(maxsize=1)
def strided(name):
    """Return an encoder with output stride 32 and its features."""
    encoder = build_encoder(name)
    return encoder, encoder(IMAGES)


@pytest.mark.parametrize("output_stride", [16, 8])
@pytest.mark.parametrize("name", NAMES)
def test_features_are_those_of_the_strided_encoder_between_more(name, output_stride):
    """Strided features are every n-th dilated feature.

    The reason is that SAME padding is symmetric at odd sizes, as here.
    """
    encoder, expected = strided(name)
    dilated = build_encoder(name, output_stride=output_stride)
    dilated.set_weights(encoder.get_weights())
    features = dilated(IMAGES)
    for level, stride in (("P2", 4), ("P3", 8), ("P4", 16), ("P5", 32)):
        feature = np.asarray(features[level])
        assert feature.shape[1:3] == tuple(
            -(-size // min(stride, output_stride)) for size in (65, 97)
        )
        if name.startswith(("efficientnet_b", "efficientnet_v2", "mobilenet_v3")):
            # Squeeze-and-excitation averages over more cells, so its gates differ.
            continue
        step = max(1, stride // output_stride)
        value = np.asarray(expected[level])
        np.testing.assert_allclose(
            feature[:, ::step, ::step], value, rtol=0, atol=1e-5 * np.abs(value).max()
        )


def test_weights_of_a_file_are_those_of_the_dilated_encoder(tmp_path):
    strided = build_encoder("fused_efficientnet_thin")
    path = str(tmp_path / "encoder.weights.h5")
    strided.save_weights(path)
    dilated = build_encoder("fused_efficientnet_thin", weights=path, output_stride=16)
    for ours, theirs in zip(dilated.get_weights(), strided.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("name", "output_stride", "message"),
    [("resnet50", 4, "must be 8, 16 or 32"), ("densenet121", 16, "cannot be dilated")],
)
def test_other_output_strides(name, output_stride, message):
    with pytest.raises(ValueError, match=message):
        build_encoder(name, output_stride=output_stride)
