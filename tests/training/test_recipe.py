"""How a run starts, and what it minimises and how fast."""

import keras
import numpy as np
import pytest

from eseg_keras import ESeg, losses
from eseg_keras.training import Experiment
from eseg_keras.training.recipe import compile_model, initial_model, learning_rate, make_loss


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
    # The peak is reached where the warm-up ends, and the end is zero.
    assert float(schedule(warmup_steps)) == pytest.approx(0.08, rel=1e-6)
    assert max(found) <= 0.08 * (1 + 1e-6) and found[-1] == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("num_steps, expected", [(251, 50), (100, 20), (9, 1), (4, 0), (1, 0)])
def test_a_warm_up_takes_a_fifth_of_the_run_at_most(caplog, num_steps, expected):
    experiment = Experiment(num_classes=2, learning_rate=0.5, warmup_steps=50)
    schedule = learning_rate(experiment, num_steps)
    assert float(schedule(expected)) == pytest.approx(0.5)
    assert float(schedule(num_steps)) == pytest.approx(0, abs=1e-8)
    assert (f"takes {expected} of {num_steps} steps" in caplog.text) == (expected < 50)


@pytest.mark.parametrize(
    "values, expected",
    [
        ({}, losses.CrossEntropy(ignore_label=9)),
        ({"label_smoothing": 0.1}, losses.CrossEntropy(label_smoothing=0.1, ignore_label=9)),
        (
            {"loss": "ohem", "ohem_threshold": 0.6, "ohem_min_kept": 0.25},
            losses.OHEMCrossEntropy(0.6, 0.25, ignore_label=9),
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
    assert ("the paper's 0.08 is for 16 images" in caplog.text) == is_warned


def small_model(num_classes=3, **options):
    options = {"decoder_channels": 8, "decoder_repeats": 1, "max_level": 5, **options}
    return ESeg("fused_efficientnet_s", num_classes=num_classes, min_level=3, **options)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A network, and the folder that holds it in every form that a run can start from."""
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
    # Its own weights start elsewhere.
    keras.utils.set_random_seed(4)
    return Experiment(
        preset=str(path / "preset"), load_weights=False, num_classes=num_classes, **values
    )


def differing(model, other):
    """Paths of the trained variables that differ, without the network's name."""
    pairs = zip(model.trainable_variables, other.trainable_variables, strict=True)
    return {a.path for a, b in pairs if a.shape != b.shape or not np.array_equal(a, b)}


def test_a_run_without_init_from_starts_elsewhere(saved):
    assert len(differing(initial_model(experiment_of(saved)), saved[0])) > 5


@pytest.mark.parametrize("source", ["preset", "model.keras", "run"])
def test_all_weights_come_from_where_init_from_says(saved, source):
    model, path = saved
    found = initial_model(experiment_of(saved, init_from=str(path / source)))
    assert differing(found, model) == set()
    # Of other classes: all but the classifier.
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
    assert "holds a Sequential, not an ESeg" in message(tmp_path / "dense.keras")
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


def test_freezing_everything_is_refused():
    experiment = Experiment(
        num_classes=3, load_weights=False, freeze=("encoder", "decoder", "head")
    )
    with pytest.raises(ValueError, match="nothing to train: freeze="):
        initial_model(experiment)
