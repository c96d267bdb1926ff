"""Parameters and multiply-adds of every preset against golden values."""

import json
import pathlib

import keras
import pytest

from eseg_keras import ESeg
from eseg_keras.models import profile

GOLDEN = json.loads(
    (pathlib.Path(__file__).parents[1] / "golden" / "architecture.json").read_text()
)["models"]


@pytest.mark.parametrize("name", GOLDEN)
def test_counts_equal_the_golden_ones(name):
    golden = GOLDEN[name]
    # Variables are not initialized: counting does not need their values.
    with keras.StatelessScope(initialize_variables=False):
        model = ESeg.from_preset(name, load_weights=False, image_shape=(1024, 2048, 3))
    counts = profile(model, (1024, 2048))
    assert counts.trainable_params == golden["trainable_params"]
    assert counts.total_params == golden["total_params"] == model.count_params()
    assert counts.macs == golden["conv_macs"]
    # The catalogue, whose values users see, contains the same values.
    assert ESeg.presets[name]["params"] == golden["trainable_params"]
    assert ESeg.presets[name]["macs"] == golden["conv_macs"]
    channels = {level: x.shape[-1] for level, x in model.encoder.output.items()}
    assert golden["endpoint_channels"].items() <= channels.items()


@pytest.mark.parametrize("name", sorted(set(ESeg.presets) - set(GOLDEN)))
def test_catalogue_counts_of_trained_presets(name):
    preset = ESeg.presets[name]
    counts = profile(name)
    assert (counts.trainable_params, counts.macs) == (preset["params"], preset["macs"])
