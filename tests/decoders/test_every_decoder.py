"""What every decoder of the table must do."""

import keras
import numpy as np
import pytest

from eseg_keras import ESeg
from eseg_keras.decoders import DECODERS

OPTIONS = {"num_classes": 3, "min_level": 3, "max_level": 6, "decoder_channels": 8}
IMAGES = np.random.default_rng(0).integers(0, 256, (1, 45, 61, 3))


@pytest.mark.parametrize("decoder", DECODERS)
def test_it_is_saved_loaded_and_folded(tmp_path, decoder):
    model = ESeg("fused_efficientnet_s", decoder=decoder, decoder_repeats=2, **OPTIONS)
    assert set(model.level_weights()) == {"P3", "P4", "P5", "P6"}
    model.save_to_preset(tmp_path / "preset")
    loaded = ESeg.from_preset(tmp_path / "preset")
    assert loaded.decoder_name == decoder
    expected = np.asarray(model(IMAGES))
    np.testing.assert_array_equal(loaded(IMAGES), expected)
    np.testing.assert_allclose(model.fold()(IMAGES), expected, atol=1e-4)


def without_a_name(shapes, *arguments, **options):
    model = DECODERS["bifpn"](shapes, *arguments, **options)
    return keras.Model(model.input, model.output)


def without_a_level(shapes, *arguments, **options):
    model = DECODERS["bifpn"](shapes, *arguments, **options)
    levels = dict(list(model.output.items())[:-1])
    return keras.Model(model.input, levels, name="decoder")


@pytest.mark.parametrize("decoder", [without_a_name, without_a_level])
def test_a_decoder_of_another_form_is_refused(monkeypatch, decoder):
    monkeypatch.setitem(DECODERS, "mine", decoder)
    with pytest.raises(
        ValueError, match="The decoder 'mine' must be a model of the name 'decoder'"
    ):
        ESeg("fused_efficientnet_s", decoder="mine", **OPTIONS)
