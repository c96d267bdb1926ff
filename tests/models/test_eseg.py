"""The ESeg class: arguments, all kinds of encoders, freezing, folding, label maps."""

import re

import keras
import numpy as np
import pytest
from keras.src.applications.densenet import DenseNet

import eseg_keras
from eseg_keras import ESeg
from eseg_keras.encoders import fused_efficientnet
from eseg_keras.models import profile
from eseg_keras.trainer import check_labels


def tiny_encoder(channels=3):
    return fused_efficientnet(0.1, 0.1, (None, None, channels))


def tiny(**arguments):
    defaults = dict(num_classes=4, min_level=3, max_level=6, decoder_channels=8, decoder_repeats=1)
    encoder = arguments.pop("encoder", None) or tiny_encoder()
    return ESeg(encoder, **{**defaults, **arguments})


def small_densenet(image_shape=(None, None, 3)):
    """Return a small DenseNet whose layers are named as in DenseNet-121."""
    network = DenseNet([2, 1, 1, 1], include_top=False, weights=None, input_shape=image_shape)
    ends = {"P2": "conv2_block2", "P3": "conv3_block1", "P4": "conv4_block1", "P5": "conv5_block1"}
    features = {level: network.get_layer(f"{end}_concat").output for level, end in ends.items()}
    return keras.Model(network.input, features)


def images(size=(64, 96), channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (1, *size, channels), dtype="uint8")


def randomize(model, seed=0):
    """Set random statistics, scales and fusion weights; some are negative."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        name = variable.path.split("/")[-1]
        if name == "moving_variance":
            variable.assign(rng.uniform(0.2, 3, variable.shape))
        elif name in ("gamma", "beta", "moving_mean", "w"):
            variable.assign(rng.normal(0.5, 1, variable.shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 256}, "num_classes"),
        ({"num_classes": 0}, "num_classes"),
        ({"decoder": "unet"}, "bifpn"),
        ({"fusion": "attention"}, "softmax"),
        ({"image_shape": (16, 64, 3)}, "at least 32"),
        ({"ignore_label": 2}, "ignore_label"),
        ({"class_names": ("a", "b")}, "class_names"),
        ({"palette": ((0, 0, 0),) * 3 + ((0, 0, 256),)}, "palette"),
        ({"frozen": ("backbone",)}, "frozen"),
        ({"min_level": 7}, "min_level"),
        ({"min_level": 1}, "consecutive levels"),
        ({"encoder_weights": "imagenet"}, "encoder_weights"),
        ({"encoder": 3}, "encoder"),
        ({"num_classes": True}, "num_classes"),
        ({"ignore_label": None}, "ignore_label"),
        ({"min_level": "3"}, "min_level"),
        ({"decoder_channels": -8}, "decoder_channels"),
        ({"activation": keras.activations.relu}, "activation"),
        ({"class_names": "abcd"}, "class_names"),
        ({"class_names": ("a", "a", "b", "c")}, "unique"),
        ({"image_shape": (None, None, 4)}, "encoder takes images"),
        ({"encoder": "efficientnet_b9"}, "efficientnet_b"),
    ],
)
def test_wrong_arguments_say_what_is_possible(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny(**arguments)
    with pytest.raises(TypeError, match="decoder_width"):
        tiny(decoder_width=3)


@pytest.mark.parametrize("fusion", ["softmax", "sum"])
@pytest.mark.parametrize("channels", [1, 4, 13])
def test_any_keras_model_is_an_encoder(fusion, channels, tmp_path):
    model = tiny(encoder=tiny_encoder(channels), image_shape=(None, None, channels), fusion=fusion)
    x = images((45, 61), channels)
    logits = model(x)
    assert tuple(logits.shape) == (1, 45, 61, 4)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), logits)


def test_encoder_that_rounds_sizes_down():
    """DenseNet rounds sizes down; the decoder adds missing rows and columns."""
    model = tiny(encoder=small_densenet())
    for size in ((64, 64), (33, 100), (47, 90)):
        logits = model(images(size))
        assert tuple(logits.shape) == (1, *size, 4)
    fixed = tiny(encoder=small_densenet((*size, 3)), image_shape=(*size, 3))
    fixed.set_weights(model.get_weights())
    np.testing.assert_allclose(fixed(images(size)), logits, atol=1e-5)


def test_encoder_without_dict_is_refused():
    inputs = keras.Input((None, None, 3))
    with pytest.raises(ValueError, match="dict of features"):
        tiny(encoder=keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs)))


def test_encoder_with_other_keys_is_refused():
    encoder = tiny_encoder()
    features = {f"C{level[1:]}": x for level, x in encoder.output.items()}
    with pytest.raises(ValueError, match="C3"):
        tiny(encoder=keras.Model(encoder.input, features))


def test_encoder_with_number_keys():
    encoder = tiny_encoder()
    features = {int(level[1:]): x for level, x in encoder.output.items()}
    assert tuple(tiny(encoder=keras.Model(encoder.input, features))(images()).shape) == (
        1,
        64,
        96,
        4,
    )


def test_channels_first_settings_are_named():
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="channels_last"):
            ESeg("fused_efficientnet_s", num_classes=2, min_level=3)
    finally:
        keras.config.set_image_data_format("channels_last")


def test_encoder_and_decoder_are_usable_alone():
    model = tiny()
    features = model.encoder(images())
    fused = model.decoder({level: features[level] for level in ("P3", "P4", "P5")})
    assert {level: tuple(x.shape[1:]) for level, x in fused.items()} == {
        "P3": (8, 12, 8),
        "P4": (4, 6, 8),
        "P5": (2, 3, 8),
        "P6": (1, 2, 8),
    }


def test_level_weights_are_the_softmax():
    model = tiny()
    weights = np.array([0.5, -1.0, 2.0, 0.0])
    model.head.get_layer("fusion").w.assign(weights)
    expected = np.exp(weights) / np.exp(weights).sum()
    levels = model.level_weights()
    assert list(levels) == ["P3", "P4", "P5", "P6"]
    np.testing.assert_allclose(list(levels.values()), expected, rtol=1e-6)
    assert tiny(fusion="sum").level_weights() == dict.fromkeys(levels, 1.0)


@pytest.mark.parametrize(
    ("fusion", "encoder"),
    [
        ("softmax", "custom"),
        ("sum", "custom"),
        ("sum", "fused_efficientnet_s"),
        ("softmax", "efficientnet_b0"),
    ],
)
def test_fold_keeps_the_function(encoder, fusion, tmp_path):
    model = tiny(encoder=None if encoder == "custom" else encoder, fusion=fusion)
    randomize(model)
    model.training_long_side = 64
    folded = model.fold()
    assert folded.training_long_side == 64
    x = images((45, 61))
    logits = model(x)
    np.testing.assert_allclose(folded(x), logits, rtol=0, atol=1e-4 * np.abs(logits).max())
    norms = [
        layer
        for layer in folded._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert norms == [] and folded.unfolded_layers == []
    np.testing.assert_allclose(
        list(folded.level_weights().values()), list(model.level_weights().values()), rtol=1e-6
    )
    if encoder == "custom":
        folded.save(tmp_path / "folded.keras")
        loaded = keras.models.load_model(tmp_path / "folded.keras")
        np.testing.assert_array_equal(loaded(x), folded(x))
        np.testing.assert_array_equal(folded.fold()(x), folded(x))
    else:
        folded.save_to_preset(tmp_path / "preset")
        np.testing.assert_array_equal(ESeg.from_preset(tmp_path / "preset")(x), folded(x))


def test_fold_leaves_and_reports_what_does_not_fold(caplog):
    """Some of DenseNet's normalisation layers follow no convolution."""
    model = tiny(encoder=small_densenet())
    randomize(model)
    folded = model.fold()
    left = folded.unfolded_layers
    assert "encoder/conv2_block1_0_bn" in left and "encoder/conv2_block1_1_bn" not in left
    assert all(name.startswith("encoder/") for name in left)
    assert "encoder/conv2_block1_0_bn" in caplog.text
    x = images()
    logits = model(x)
    np.testing.assert_allclose(folded(x), logits, rtol=0, atol=1e-4 * np.abs(logits).max())


def train(model):
    masks = np.random.default_rng(1).integers(0, 4, (1, 64, 96), dtype="uint8")
    model.train_on_batch(images(), masks)


@pytest.mark.parametrize("compiled_first", [True, False])
@pytest.mark.parametrize("part", ["encoder", "decoder", "head", "batch_norm"])
def test_freeze_really_freezes(part, compiled_first, tmp_path):
    # One case is compiled: only a step that was compiled before freezing could still update the
    # frozen variables.
    eager = not (compiled_first and part == "encoder")
    model = tiny() if eager else tiny(max_level=5)
    if compiled_first:
        model.compile(run_eagerly=eager)
        train(model)
        model.freeze(part)
    else:
        model.freeze(part)
        model.compile(run_eagerly=eager)
    models = [model]
    if not compiled_first:
        model.save(tmp_path / "model.keras")
        models.append(keras.models.load_model(tmp_path / "model.keras"))
    for trained in models:
        if part == "batch_norm":
            frozen = [
                layer
                for layer in trained._flatten_layers()
                if isinstance(layer, keras.layers.BatchNormalization)
            ]
            weights = lambda: [w for layer in frozen for w in layer.get_weights()]  # noqa: B023, E731
        else:
            weights = getattr(trained, part).get_weights
        before, everything = weights(), trained.get_weights()
        train(trained)
        assert before and all(np.array_equal(a, b) for a, b in zip(before, weights(), strict=True))
        assert any(
            not np.array_equal(a, b) for a, b in zip(everything, trained.get_weights(), strict=True)
        )
    model.unfreeze()
    before = model.get_weights()
    train(model)
    changed = sum(
        not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)
    )
    assert changed > 0.9 * len(before)


def test_freeze_leaves_other_layers_alone():
    model = tiny(encoder="fused_efficientnet_thin")
    model.encoder.trainable = False
    model.freeze("head")
    assert not model.encoder.trainable_variables and model.decoder.trainable_variables
    model.unfreeze("head")
    assert model.encoder.trainable_variables and model.head.trainable_variables


def test_freeze_survives_a_preset(tmp_path):
    model = tiny(encoder="fused_efficientnet_thin")
    model.freeze("encoder", "batch_norm")
    model.save_to_preset(tmp_path / "preset")
    loaded = ESeg.from_preset(tmp_path / "preset")
    assert loaded.frozen == ("encoder", "batch_norm")
    assert len(loaded.trainable_variables) == len(model.trainable_variables) > 0
    assert not loaded.encoder.trainable_variables
    with pytest.raises(ValueError, match="backbone"):
        loaded.freeze("backbone")
    assert loaded.frozen == ("encoder", "batch_norm")
    loaded.freeze("head")
    assert not loaded.head.trainable_variables


def test_freeze_keeps_unregistered_losses_and_metrics():
    def my_loss(y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_pred))

    model = tiny()
    model.compile(
        optimizer=keras.optimizers.SGD(0.3, momentum=0.5),
        loss=my_loss,
        metrics=[],
        run_eagerly=True,
    )
    train(model)
    model.freeze("encoder")
    assert model.loss is my_loss and model.optimizer.momentum == 0.5
    assert len(model.optimizer.variables) < 2 + len(model.variables)
    train(model)


def test_segment_is_the_argmax():
    model = tiny()
    randomize(model)
    batch = np.concatenate([images((45, 61)), images((45, 61), seed=1)])
    labels = model.segment(batch)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, np.argmax(model(batch), axis=-1))
    np.testing.assert_array_equal(model.segment(batch[1]), labels[1])
    np.testing.assert_array_equal(model.segment(batch[1].astype("float32")), labels[1])
    for wrong in (batch[0, :, :, 0], batch[:, :20], batch[..., :2], batch[:0]):
        with pytest.raises(ValueError, match="Received an array of shape"):
            model.segment(wrong)


def test_segment_refuses_other_ranges_unless_they_are_declared():
    model = tiny()
    image = images((45, 61))[0]
    labels = model.segment(image)
    np.testing.assert_array_equal(model.segment(image / 255, image_range=(0, 1)), labels)
    np.testing.assert_array_equal(model.segment(image.astype("uint16") * 257), labels)
    for wrong in (image / 255, image - 1.0, image * 2.0, image + np.nan, image.astype("uint16")):
        with pytest.raises(ValueError, match="pixel values from 0 to"):
            model.segment(wrong)
    with pytest.raises(ValueError, match=r"in image_range=\(0, 100\)"):
        model.segment(image, image_range=(0, 100))


def test_segment_does_not_become_part_of_the_model(tmp_path):
    model = tiny()
    before = len(model.variables)
    model.segment(images()[0])
    assert len(model.variables) == before
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        keras.models.load_model(tmp_path / "model.keras").segment(images()[0]),
        model.segment(images()[0]),
    )


def test_compile_defaults():
    model = tiny(ignore_label=200)
    model.compile()
    model.run_eagerly = True
    assert model.optimizer.momentum == 0.9
    assert model.loss.ignore_label == 200
    logs = model.train_on_batch(images(), np.full((1, 64, 96, 1), 200, "int32"), return_dict=True)
    assert logs["loss"] == 0
    check_labels(model.metrics)
    custom = tiny()
    custom.compile(optimizer="adam", loss=eseg_keras.losses.CrossEntropy(label_smoothing=0.1))
    assert custom.optimizer.name == "adam" and custom.loss.label_smoothing == 0.1


def test_compile_without_arguments_is_what_its_docstring_says_and_learns():
    keras.utils.set_random_seed(0)
    model = tiny(num_classes=2, max_level=5)
    model.compile()
    says = re.search(
        r"SGD with momentum ([\d.]+) and learning rate ([\d.]+)\.", ESeg.compile.__doc__
    )
    found = model.optimizer.momentum, float(model.optimizer.learning_rate)
    assert found == pytest.approx(tuple(map(float, says.groups())))
    # Dark on the left, bright on the right, in random colours.
    masks = np.zeros((8, 64, 64), "uint8")
    masks[:, :, 32:] = 1
    noise = np.random.default_rng(0).integers(0, 80, (8, 64, 64, 3))
    scenes = (noise + 150 * masks[..., None]).astype("uint8")
    losses = model.fit(scenes, masks, batch_size=4, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.2 * losses[0]


def test_profile_changes_presets_alone():
    assert profile("eseg_lite_s", (64, 64), num_classes=3, max_level=5).trainable_params > 0
    with pytest.raises(ValueError, match="with the name of a preset"):
        profile(tiny(), (64, 64), num_classes=3)


def test_profile_needs_a_size_for_custom_encoders():
    with pytest.raises(ValueError, match="custom encoder"):
        profile(tiny(), (64, 64))
