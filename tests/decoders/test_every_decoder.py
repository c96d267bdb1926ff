"""Requirements for every decoder in `DECODERS`."""

import dataclasses

import keras
import numpy as np
import pytest

from eseg_keras import ESeg
from eseg_keras.decoders import DECODERS
from eseg_keras.encoders import fused_efficientnet

BIFPN = DECODERS["bifpn"]
OPTIONS = {"num_classes": 3, "min_level": 3, "max_level": 6, "decoder_channels": 8}
IMAGES = np.random.default_rng(0).integers(0, 256, (1, 45, 61, 3))
# Each decoder with each output stride that it supports.
NETWORKS = [(name, stride) for name, spec in DECODERS.items() for stride in spec.output_strides]


def small(decoder, encoder, **options):
    options = {"max_level": min(OPTIONS["max_level"], DECODERS[decoder].max_level), **options}
    return ESeg(encoder, decoder=decoder, **{**OPTIONS, "decoder_repeats": 2, **options})


@pytest.mark.parametrize("decoder, output_stride", NETWORKS)
def test_it_is_a_preset_and_folded(tmp_path, decoder, output_stride):
    model = small(decoder, "fused_efficientnet_thin", output_stride=output_stride)
    levels = [f"P{level}" for level in range(3, model.max_level + 1)]
    assert list(model.level_weights()) in (levels, levels[:1])
    model.save_to_preset(tmp_path / "preset")
    expected = np.asarray(model(IMAGES))
    loaded = ESeg.from_preset(tmp_path / "preset")
    assert (loaded.decoder_name, loaded.output_stride) == (decoder, output_stride)
    np.testing.assert_array_equal(loaded(IMAGES), expected)
    folded = model.fold()
    assert not folded.unfolded_layers
    np.testing.assert_allclose(folded(IMAGES), expected, atol=1e-4)


# Without `bifpn`, which the tests of presets train and save.
@pytest.mark.parametrize("decoder", [name for name in DECODERS if name != "bifpn"])
def test_it_trains_and_is_saved(tmp_path, decoder):
    keras.utils.set_random_seed(0)
    model = small(decoder, fused_efficientnet(0.1, 0.1), decoder_repeats=1)
    model.compile(run_eagerly=True)
    images = np.random.default_rng(1).integers(0, 256, (2, 64, 96, 3), dtype="uint8")
    masks = np.random.default_rng(2).integers(0, 3, (2, 64, 96), dtype="uint8")
    assert np.isfinite(model.train_on_batch(images, masks)[0])
    # The first two variables of SGD are iteration and learning rate, the others are velocities.
    velocities = model.optimizer.variables[2:]
    assert len(velocities) == len(model.trainable_variables)
    assert not [v.path for v in velocities if not np.any(keras.ops.convert_to_numpy(v))]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))


def test_what_is_not_given_is_the_decoders_own():
    def sizes(**arguments):
        # Variables are not initialized: their values are not needed.
        with keras.StatelessScope(initialize_variables=False):
            model = ESeg(fused_efficientnet(0.1, 0.1), 2, min_level=3, **arguments)
        return model.max_level, model.decoder_channels, model.decoder_repeats

    assert sizes(decoder="deeplabv3plus") == (5, 256, 1)
    assert sizes(decoder="fpn", max_level=5) == (5, 96, 1)
    # The preset's channels and repeats are for its BiFPN; the FPN gets its own defaults.
    options = {"decoder": "fpn", "encoder": fused_efficientnet(0.1, 0.1), "load_weights": False}
    model = ESeg.from_preset("eseg_lite_m", max_level=5, **options)
    assert (model.decoder_channels, model.decoder_repeats, model.min_level) == (96, 1, 3)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"decoder": "unet"}, r"`decoder` must be one of \['bifpn', .*decoder='unet'"),
        (
            {"decoder": "bifpn", "output_stride": 16},
            "`output_stride` must be 32 for the decoder 'bifpn'. Received: output_stride=16",
        ),
        (
            {"decoder": "deeplabv3plus", "output_stride": 8},
            "`output_stride` must be 32 or 16 for the decoder 'deeplabv3plus'",
        ),
        ({"decoder": "deeplabv3plus", "max_level": 9}, "adds no levels.*max_level=9"),
        ({"decoder": "fpn", "min_level": 1}, "consecutive levels from P1"),
        ({"decoder": "fpn", "max_level": 3}, "`min_level` must be below max_level=3"),
    ],
)
def test_other_arguments_are_refused_in_one_sentence(arguments, message):
    with pytest.raises(ValueError, match=message):
        ESeg("fused_efficientnet_thin", **{**OPTIONS, **arguments})


def test_an_encoder_of_ones_own_has_one_output_stride():
    with pytest.raises(ValueError, match="32 when the encoder is a Keras model"):
        small("deeplabv3plus", fused_efficientnet(0.1, 0.1), output_stride=16)


def without_a_name(shapes, *arguments, **options):
    model = BIFPN.build(shapes, *arguments, **options)
    return keras.Model(model.input, model.output)


def without_a_level(shapes, *arguments, **options):
    model = BIFPN.build(shapes, *arguments, **options)
    levels = dict(list(model.output.items())[:-1])
    return keras.Model(model.input, levels, name="decoder")


@pytest.mark.parametrize("build", [without_a_name, without_a_level])
def test_a_decoder_of_another_form_is_refused(monkeypatch, build):
    monkeypatch.setitem(DECODERS, "mine", dataclasses.replace(BIFPN, build=build))
    with pytest.raises(ValueError, match="The decoder 'mine' must be a model named 'decoder'"):
        ESeg("fused_efficientnet_thin", decoder="mine", **OPTIONS)
