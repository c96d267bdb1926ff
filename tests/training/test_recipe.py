"""Initial weights, automatic settings, loss, optimizer and learning rate of a run."""

import csv
import dataclasses
import math

import keras
import numpy as np
import pytest

from eseg_keras import ESeg, losses
from eseg_keras.data import Augmentation, Examples
from eseg_keras.data.datasets import DATASETS
from eseg_keras.data.mixed_batches import MixedBatches
from eseg_keras.street_scenes import CLASS_NAMES
from eseg_keras.training import Experiment, override, train
from eseg_keras.training.data import open_examples, training_batches
from eseg_keras.training.distribution import Distribution
from eseg_keras.training.recipe import (
    compile_model,
    compile_options,
    complete,
    initial_model,
    learning_rate,
    make_loss,
)


@pytest.mark.parametrize("warmup_steps, num_steps", [(0, 10), (4, 20), (1, 5), (300, 2000)])
def test_learning_rate_warms_up_from_zero_and_falls_to_zero(warmup_steps, num_steps):
    experiment = Experiment(num_classes=2, learning_rate=0.08, warmup_steps=warmup_steps)
    schedule = learning_rate(experiment, num_steps)
    steps = np.unique([*np.linspace(0, num_steps, 12, dtype=int), warmup_steps, num_steps - 1])
    share = (steps - warmup_steps) / (num_steps - warmup_steps)
    expected = 0.08 * (1 + np.cos(np.pi * share)) / 2
    rising = steps < warmup_steps
    expected[rising] = 0.08 * steps[rising] / max(warmup_steps, 1)
    found = [float(schedule(step)) for step in steps]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-8)
    # The learning rate has its peak at the end of the warm-up and ends at zero.
    assert float(schedule(warmup_steps)) == pytest.approx(0.08, rel=1e-6)
    assert max(found) <= 0.08 * (1 + 1e-6) and found[-1] == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("num_steps, expected", [(251, 50), (100, 20), (9, 1), (4, 0), (1, 0)])
def test_a_warm_up_takes_a_fifth_of_the_run_at_most(caplog, num_steps, expected):
    experiment = Experiment(num_classes=2, learning_rate=0.5, warmup_steps=50)
    schedule = learning_rate(experiment, num_steps)
    assert float(schedule(expected)) == pytest.approx(0.5)
    assert float(schedule(num_steps)) == pytest.approx(0, abs=1e-8)
    assert (f"is reduced to {expected} of {num_steps} steps" in caplog.text) == (expected < 50)


@pytest.mark.parametrize(
    "values, expected",
    [
        ({}, losses.CrossEntropy(ignore_label=9)),
        ({"label_smoothing": 0.1}, losses.CrossEntropy(label_smoothing=0.1, ignore_label=9)),
        (
            {"loss": "ohem", "ohem_threshold": 0.6, "ohem_min_kept": 0.25},
            losses.OHEMCrossEntropy(0.6, 0.25, ignore_label=9),
        ),
        (
            {"loss": "ohem", "ohem_threshold": 0.9, "ohem_min_kept_pixels": 131_072},
            losses.OHEMCrossEntropy(0.9, min_kept_pixels=131_072, ignore_label=9),
        ),
        ({"loss": "dice"}, losses.Dice(ignore_label=9)),
        ({"loss": "lovasz_softmax"}, losses.LovaszSoftmax(ignore_label=9)),
        ({"loss": "focal"}, losses.Focal(ignore_label=9)),
    ],
)
def test_every_loss_has_its_arguments(values, expected):
    loss = make_loss(Experiment(num_classes=3, ignore_label=9, **values))
    assert type(loss) is type(expected) and loss.get_config() == expected.get_config()


@pytest.mark.parametrize(
    ("rate", "batch_size", "is_warned"),
    [(0.08, 16, False), (0.08, 8, False), (0.08, 4, True), (0.05, 4, False), (0.05, 1, True)],
)
def test_a_learning_rate_of_larger_batches_is_named(caplog, rate, batch_size, is_warned):
    experiment = Experiment(num_classes=3, learning_rate=rate, batch_size=batch_size)
    compile_model(small_model(), experiment, 10)
    assert ("the paper uses 0.08 for batches of 16" in caplog.text) == is_warned


@pytest.mark.parametrize("rate, is_warned", [(0.08, True), (0.01, False)])
def test_a_learning_rate_of_sgd_is_named_for_adamw(caplog, rate, is_warned):
    compile_model(
        small_model(), Experiment(num_classes=3, optimizer="adamw", learning_rate=rate), 9
    )
    assert ("is high for AdamW" in caplog.text) == is_warned


def small_model(num_classes=3, **options):
    options = {"decoder_channels": 8, "decoder_repeats": 1, "max_level": 5, **options}
    return ESeg("fused_efficientnet_thin", num_classes=num_classes, min_level=3, **options)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A network, and a folder with it in every format that `init_from` accepts."""
    path = tmp_path_factory.mktemp("saved")
    keras.utils.set_random_seed(3)
    model = small_model()
    model.save_to_preset(path / "preset")
    model.save(path / "model.keras")
    (path / "run").mkdir()
    model.save_to_preset(path / "run" / "preset")
    for name in ("config.json", "log.csv", "metrics.json"):
        (path / "run" / name).write_text("{}")
    return model, path


def experiment_of(saved, num_classes=3, **values):
    _, path = saved
    # Another seed: initial weights differ from those of the saved network.
    keras.utils.set_random_seed(4)
    return Experiment(
        preset=str(path / "preset"), load_weights=False, num_classes=num_classes, **values
    )


def differing(model, other):
    """Return the paths of the trainable variables that differ."""
    pairs = zip(model.trainable_variables, other.trainable_variables, strict=True)
    return {a.path for a, b in pairs if a.shape != b.shape or not np.array_equal(a, b)}


def test_a_run_without_init_from_starts_elsewhere(saved):
    assert len(differing(initial_model(experiment_of(saved)), saved[0])) > 5


@pytest.mark.parametrize("source", ["preset", "model.keras", "run"])
def test_all_weights_come_from_where_init_from_says(saved, source):
    model, path = saved
    found = initial_model(experiment_of(saved, init_from=str(path / source)))
    assert differing(found, model) == set()
    # With other classes, all weights except those of the classifier are copied.
    found = initial_model(experiment_of(saved, num_classes=5, init_from=str(path / source)))
    assert found.num_classes == 5
    names = differing(found, model)
    assert names and all(name.startswith("classifier/") for name in names)


def test_weights_from_a_preset_by_name():
    values = dict(preset="eseg_lite_s_streets", num_classes=4)
    start = initial_model(Experiment(**values, load_weights=False, init_from=values["preset"]))
    shipped = ESeg.from_preset("eseg_lite_s_streets")
    names = differing(start, shipped)
    assert names and all(name.startswith("classifier/") for name in names)


def test_parts_are_frozen_and_the_network_named(saved):
    colors = ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    experiment = experiment_of(
        saved, class_names=("a", "b", "c"), palette=colors, freeze=("encoder",), ignore_label=7
    )
    model = initial_model(experiment)
    assert model.encoder.trainable_variables == [] and model.head.trainable_variables
    assert tuple(model.class_names) == ("a", "b", "c") and model.ignore_label == 7
    assert tuple(map(tuple, model.palette)) == colors


def test_what_no_run_can_start_from_is_one_sentence(saved, tmp_path):
    _, path = saved

    def message(source, error=ValueError, **values):
        with pytest.raises(error) as caught:
            initial_model(experiment_of(saved, init_from=str(source), **values))
        text = str(caught.value)
        assert "\n" not in text and len(text) < 400, text
        return text

    (tmp_path / "run").mkdir()
    for name in ("config.json", "log.csv"):
        (tmp_path / "run" / name).write_text("{}")
    assert "is not finished: it has no preset yet" in message(tmp_path / "run")

    assert "There is no file" in message(tmp_path / "none.keras", FileNotFoundError)
    (tmp_path / "text.keras").write_text("no network")
    assert "text.keras" in message(tmp_path / "text.keras")
    data = (path / "model.keras").read_bytes()
    (tmp_path / "torn.keras").write_bytes(data[: len(data) // 2])
    assert "torn.keras" in message(tmp_path / "torn.keras")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "dense.keras")
    assert "contains a Sequential, not an ESeg" in message(tmp_path / "dense.keras")
    assert "nothing" in message(tmp_path / "nothing", FileNotFoundError)

    for name, options in {"wide": {"decoder_channels": 16}, "tall": {"max_level": 6}}.items():
        small_model(**options).save_to_preset(tmp_path / name)
        assert "do not fit" in message(tmp_path / name)


def test_a_model_is_compiled_as_the_experiment_says(saved):
    experiment = experiment_of(
        saved, momentum=0.5, weight_decay=0.01, ema_decay=0.9, global_clipnorm=2.0,
        gradient_accumulation_steps=2, batch_size=4, steps_per_execution=3, loss="dice",
        ignore_label=7,
    )  # fmt: skip
    model = initial_model(experiment)
    scores = compile_model(model, experiment, 10)
    assert (model.weight_decay, model.ema_decay, model.global_clipnorm) == (0.01, 0.9, 2.0)
    assert model.gradient_accumulation_steps == 2 and model.steps_per_execution == 3
    assert model.optimizer.momentum == 0.5 and model.optimizer.weight_decay is None
    assert float(model.optimizer.learning_rate) == pytest.approx(0.08)
    assert isinstance(model.loss, losses.Dice) and model.loss.ignore_label == 7
    assert scores.num_classes == 3 and scores.ignore_label == 7


def test_a_teacher_of_other_classes_is_refused(tmp_path):
    small_model(class_names=("a", "b", "c")).save_to_preset(tmp_path / "teacher")
    experiment = Experiment(num_classes=3, teacher=str(tmp_path / "teacher"))
    with pytest.raises(ValueError, match="teacher has other classes: its class 1 is 'b'.*'C'"):
        compile_model(small_model(class_names=("A", "C", "b")), experiment, 10)


@pytest.mark.usefixtures("eagerly")
def test_a_run_learns_from_its_teacher_alone(tmp_path, small_eseg):
    student, teacher = (small_eseg(num_classes=8, class_names=CLASS_NAMES) for _ in range(2))
    teacher.head.get_layer("classifier").bias.assign(np.arange(8.0))
    for name, model in (("student", student), ("teacher", teacher)):
        model.save_to_preset(tmp_path / name)
    experiment = Experiment(
        preset=str(tmp_path / "student"), teacher=str(tmp_path / "teacher"), distillation=1.0,
        data="street_scenes", image_size=(64, 96), batch_size=4, train_examples=4, val_examples=1,
        augment=False, epochs=1,
    )  # fmt: skip
    train(experiment, tmp_path / "run")
    (row,) = csv.DictReader((tmp_path / "run" / "log.csv").open())
    batch, _ = training_batches(experiment, open_examples(experiment, "train")).batch(0, 0)

    def log_softmax(logits):
        logits = keras.ops.convert_to_numpy(logits).astype("float64")
        return logits - np.log(np.exp(logits).sum(-1, keepdims=True))

    # The logged loss is that before the step, with the statistics of the batch.
    learnt, soft = log_softmax(student(batch, training=True)), log_softmax(teacher(batch))
    assert float(row["loss"]) == pytest.approx(-(np.exp(soft) * learnt).sum(-1).mean(), rel=1e-4)


def test_freezing_everything_is_refused():
    with pytest.raises(ValueError, match="freeze must be some, but not all, of encoder"):
        Experiment(num_classes=3, freeze=("encoder", "decoder", "head"))


AUTO = dict.fromkeys(Experiment.automatic, "auto")


@pytest.mark.parametrize("num_images", [2, 9, 367, 1999, 2000, 20_001, 100_000])
def test_settings_follow_the_number_of_images(num_images):
    found = complete(Experiment(num_classes=2, **AUTO), num_images)
    assert found.batch_size == min(8 if num_images < 2000 else 16, num_images)
    assert found.learning_rate / found.batch_size == pytest.approx(0.05 / 8)
    per_epoch = -(-num_images // found.batch_size)
    num_steps = found.epochs * per_epoch
    # Steps differ from the rule by at most half an epoch.
    assert abs(num_steps - max(300, 100 * num_images**0.5)) <= per_epoch / 2
    assert found.warmup_steps == num_steps // 20
    assert 1 - 10 / num_steps == pytest.approx(found.ema_decay, abs=1e-3)
    assert found.ema_decay <= 0.999
    assert min(found.epochs, 6) <= math.ceil(found.epochs / found.val_every) <= 10
    assert found.photometric_distortion == (num_images <= 20_000)


@pytest.mark.parametrize("steps", [1, 9, 250, 505])
def test_runs_of_a_number_of_steps_have_at_most_ten_validations(steps):
    found = complete(Experiment(num_classes=2, **AUTO, steps=steps), 40)
    epochs = math.ceil(steps / 5)
    assert found.epochs == epochs and math.ceil(epochs / found.val_every) <= 10


def test_skipped_batches_are_not_counted_and_all_devices_get_as_many_images():
    four = Distribution("mirrored", num_devices=4)
    experiment = Experiment(num_classes=2, **{**AUTO, "batch_size": 8}, steps=12)
    # 5 images in the last batch: one device would get none.
    assert complete(experiment, 13).epochs == 6
    assert complete(experiment, 13, four).epochs == 12
    assert complete(experiment, 16, four).epochs == 6
    automatic = Experiment(num_classes=2, **AUTO)
    sizes = [complete(automatic, count, four).batch_size for count in (7, 13, 3000)]
    assert sizes == [4, 8, 16]
    three = Distribution("mirrored", num_devices=3)
    assert complete(automatic, 13, three).batch_size == 6


def test_numbers_given_are_kept():
    given = {
        "batch_size": 3, "epochs": 7, "learning_rate": 0.3, "warmup_steps": 4, "ema_decay": None,
        "val_every": 2, "photometric_distortion": False,
    }  # fmt: skip
    for name, value in given.items():
        found = complete(Experiment(num_classes=2, **{**AUTO, name: value}), 50)
        assert getattr(found, name) == value
    experiment = Experiment(num_classes=2, steps=40, **AUTO)
    assert complete(experiment, 50).warmup_steps == 2


@pytest.mark.parametrize("num_images", [1, 7, 1000])
def test_an_epoch_with_pseudo_labels_has_half_of_each_batch(num_images):
    experiment = Experiment(num_classes=2, pseudo_images="a", pseudo_masks="b", **AUTO)
    found = complete(experiment, num_images)
    sources = Blank(num_images), Blank(9)
    batches = MixedBatches(*sources, batch_size=found.batch_size)
    num_steps = found.epochs * len(batches)
    assert abs(num_steps - max(300, 100 * num_images**0.5)) <= len(batches) / 2
    assert found.warmup_steps == num_steps // 20


class Blank(Examples):
    """Blank examples; tests use only their number."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def read(self, index):
        return np.zeros((32, 32, 3), "uint8"), np.zeros((32, 32), "uint8")


def test_what_is_automatic_fits_what_is_given():
    def found(num_images, **values):
        return complete(Experiment(num_classes=2, **{**AUTO, **values}), num_images)

    assert found(100_000, batch_size=1).epochs == 1
    assert found(100, gradient_accumulation_steps=3).batch_size == 6
    # 7 steps per epoch.
    assert found(50, steps=40).epochs == 6
    with pytest.raises(ValueError, match="'auto' requires optimizer='sgd'.*0.001"):
        found(50, optimizer="adamw")


@pytest.mark.parametrize("name", ["momentum", "weight_decay", "seed"])
def test_other_settings_are_not_automatic(name):
    assert "auto" in AUTO.values()
    with pytest.raises((TypeError, ValueError)):
        Experiment(num_classes=2, **{name: "auto"})


def test_adamw_decays_kernels_alone():
    experiment = Experiment(
        num_classes=2, optimizer="adamw", learning_rate=0.5, momentum=0.75, weight_decay=0.25
    )
    options = compile_options(experiment, 10)
    assert options["weight_decay"] == 0.0
    inputs = keras.Input((4, 4, 2))
    layers = [keras.layers.Conv2D(3, 3), keras.layers.BatchNormalization()]
    layers.append(keras.layers.DepthwiseConv2D(3, padding="same"))
    x = inputs
    for layer in layers:
        x = layer(x)
    model = keras.Model(inputs, x)
    optimizer = options["optimizer"]
    optimizer.build(model.trainable_variables)
    before = {v.path: keras.ops.convert_to_numpy(v) + 1 for v in model.trainable_variables}
    for variable in model.trainable_variables:
        variable.assign(before[variable.path])
    zeros = [keras.ops.zeros_like(variable) for variable in model.trainable_variables]
    optimizer.apply(zeros)
    for variable in model.trainable_variables:
        # With zero gradients, weights only decay, by learning rate times weight decay.
        factor = 1 - 0.5 * 0.25 if variable.path.endswith("kernel") else 1
        np.testing.assert_allclose(variable, factor * before[variable.path], rtol=1e-6)
    assert sum(path.endswith("kernel") for path in before) == 2
    assert optimizer.beta_1 == 0.75


def test_an_experiment_reaches_every_part_of_the_network():
    base = Experiment(preset="eseg_s", load_weights=False, num_classes=3)
    changes = {
        "encoder": "mobilenet_v2",
        "decoder": "deeplabv3plus",
        "min_level": 3,
        "max_level": 4,
        "decoder_channels": 16,
        "decoder_repeats": 2,
        "output_stride": 16,
        "fusion": "sum",
    }
    config = initial_model(dataclasses.replace(base, **changes)).get_config()
    assert {name: config[name] for name in changes} == changes
    # The same from the command line.
    texts = [f"{name}={value}" for name, value in changes.items()]
    assert override(base, texts) == dataclasses.replace(base, **changes)


def test_another_network_has_no_use_for_trained_weights(saved):
    _, path = saved
    experiment = Experiment(preset=str(path / "preset"), num_classes=3, decoder="fpn")
    with pytest.raises(ValueError, match=r"\['decoder'\] would change the architecture"):
        initial_model(experiment)


@pytest.mark.parametrize("momentum, depth", [(None, True), (0.99, False)])
def test_momentum_and_stochastic_depth(momentum, depth):
    experiment = Experiment(
        encoder="efficientnet_b0", preset="eseg_s", load_weights=False, num_classes=2, max_level=6,
        decoder_channels=8, decoder_repeats=1, batch_norm_momentum=momentum, stochastic_depth=depth,
    )  # fmt: skip
    layers = list(initial_model(experiment)._flatten_layers())
    norms = [x.momentum for x in layers if isinstance(x, keras.layers.BatchNormalization)]
    rates = [x.rate for x in layers if isinstance(x, keras.layers.Dropout)]
    assert set(norms) == ({0.97, 0.99} if momentum is None else {0.99})
    # The drop rate grows from 0 by 0.2 / 16 per block; of the 16 blocks, the 9 with a shortcut have
    # a drop layer, the last of them in block 15.
    assert len(rates) == 9
    assert max(rates) == pytest.approx(0.2 * 14 / 16 if depth else 0.0)


def test_augmentation_has_its_options():
    experiment = Experiment(
        data="street_scenes", train_examples=1, val_examples=1, scale=(0.5, 1.5), scale_step=0.5,
        pad_color=(1, 2, 3), place_at_random=False,
    )  # fmt: skip
    examples = open_examples(experiment, "train")
    augmentation = training_batches(experiment, examples).augmentation
    assert augmentation == Augmentation(
        scale=(0.5, 1.5), scale_step=0.5, fill=(1, 2, 3), place_at_random=False
    )


@pytest.mark.parametrize(
    "values, message",
    [
        ({"ohem_min_kept_pixels": 0}, "ohem_min_kept_pixels must be at least 1"),
        ({"batch_norm_momentum": 1.0}, "batch_norm_momentum must be from 0 to below 1"),
        ({"scale_step": 0.0}, "scale_step must be positive"),
        ({"batch_size": "many"}, "batch_size must be at least 1. Received: batch_size='many'"),
        ({"pad_color": (0, 0, 256)}, "pad_color must be in 0..255"),
    ],
)
def test_options_out_of_range(values, message):
    with pytest.raises(ValueError, match=message):
        Experiment(num_classes=2, **values)


def test_classes_move_by_name():
    """Classes of Cityscapes get the weights of Mapillary Vistas classes with the same names."""
    source, target = (
        DATASETS[name]["train"].classes for name in ("mapillary_vistas", "cityscapes")
    )
    models = [
        small_model(len(classes.class_names), class_names=classes.class_names)
        for classes in (source, target)
    ]
    before = models[1].head.get_layer("classifier").get_weights()
    models[0].head.get_layer("classifier").bias.assign(np.arange(65.0))
    models[1].copy_weights(models[0])
    assert all(name.startswith("classifier/") for name in differing(*models))
    (old_kernel, _), (kernel, bias) = (
        before,
        models[1].head.get_layer("classifier").get_weights(),
    )
    theirs = models[0].head.get_layer("classifier").get_weights()[0]
    kept = set()
    for index, name in enumerate(target.class_names):
        titled = name.title()
        if titled in source.class_names:
            place = source.class_names.index(titled)
            assert bias[index] == place
            np.testing.assert_array_equal(kernel[..., index], theirs[..., place])
        else:
            kept.add(name)
            assert bias[index] == 0
            np.testing.assert_array_equal(kernel[..., index], old_kernel[..., index])
    assert kept == {"traffic sign", "rider", "train"}


def test_as_many_classes_in_another_order_move_by_name():
    models = [small_model(class_names=names) for names in (("a", "b", "c"), ("C", "a", "d"))]
    models[0].head.get_layer("classifier").bias.assign([1.0, 2.0, 3.0])
    models[1].copy_weights(models[0])
    np.testing.assert_array_equal(models[1].head.get_layer("classifier").bias, [3, 1, 0])
