"""Exported networks with each decoder except the BiFPN, compared with the Keras network."""

import keras
import numpy as np
import pytest

from eseg_keras import ESeg
from eseg_keras.decoders import DECODERS
from eseg_keras.encoders.builder import dilate
from eseg_keras.encoders.fused import fused_efficientnet
from eseg_keras.export import export_onnx, export_saved_model, export_tflite
from eseg_keras.export.served_graph.network import serving_model
from eseg_keras.street_scenes import scene_images

pytestmark = [
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="TensorFlow writes the files"
    ),
    pytest.mark.usefixtures("module_eagerly"),
]
# Other tests export the BiFPN.
NAMES = [name for name in DECODERS if name != "bifpn"]
IMAGES = scene_images("test", 2, (97, 131))


@pytest.fixture(scope="module")
def networks():
    """{decoder: small network with the batch normalisation statistics of street scenes}."""
    networks = {}
    for decoder in NAMES:
        keras.utils.set_random_seed(0)
        encoder = fused_efficientnet(0.1, 0.1)
        if 16 in DECODERS[decoder].output_strides:
            encoder = dilate(encoder, 16)
        model = ESeg(
            encoder,
            num_classes=5,
            decoder=decoder,
            min_level=3,
            max_level=5,
            decoder_channels=8,
            decoder_repeats=1,
        )
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.0
        model(np.stack(IMAGES).astype("float32"), training=True)
        networks[decoder] = model
    return networks


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("decoder", NAMES)
def test_what_is_served(networks, decoder, channels_first):
    model, images = networks[decoder], np.stack(IMAGES)
    logits = np.asarray(model(images))
    served = serving_model(model, "logits", channels_first=channels_first)
    spread = logits.max() - logits.min()
    np.testing.assert_allclose(served(images), logits, rtol=0, atol=1e-5 * spread)
    labels = np.asarray(serving_model(model, channels_first=channels_first)(images))
    assert (labels == logits.argmax(-1)).mean() > 0.999


@pytest.mark.parametrize(
    "export, name, options",
    [
        (export_onnx, "network.onnx", {"output_kind": "logits", "image_size": (97, 131)}),
        (export_tflite, "network.tflite", {"output_kind": "logits"}),
        (export_saved_model, "network", {}),
    ],
)
@pytest.mark.parametrize("decoder", NAMES)
def test_files(networks, tmp_path, decoder, export, name, options):
    if export is export_onnx:
        pytest.importorskip("onnxruntime")
    verification = export(networks[decoder], tmp_path / name, verification_images=IMAGES, **options)
    assert verification.passed and verification.label_agreement > 0.999
